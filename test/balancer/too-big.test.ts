import { TOO_BIG_SUITES } from './cases/too-big.js';
import { testSuites } from './suite.js';

testSuites(TOO_BIG_SUITES);
