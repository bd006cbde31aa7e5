import { LOCAL_SUITES } from './cases/local.js';
import { testSuites } from './suite.js';

testSuites(LOCAL_SUITES);
