import { MALFORMED_SUITES } from './cases/malformed.js';
import { testSuites } from './suite.js';

testSuites(MALFORMED_SUITES);
