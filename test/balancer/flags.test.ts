import { FLAG_SUITES } from './cases/flags.js';
import { testSuites } from './suite.js';

testSuites(FLAG_SUITES);
