import { GUE_SUITES } from './cases/gue.js';
import { testSuites } from './suite.js';

testSuites(GUE_SUITES);
