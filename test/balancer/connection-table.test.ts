import { CONNECTION_SUITES } from './cases/connections.js';
import { testSuites } from './suite.js';

testSuites(CONNECTION_SUITES);
