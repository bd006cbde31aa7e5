import { SERVER_ID_SUITES } from './cases/server-ids.js';
import { testSuites } from './suite.js';

testSuites(SERVER_ID_SUITES);
