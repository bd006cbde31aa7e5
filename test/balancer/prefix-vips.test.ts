import { PREFIX_SUITES } from './cases/prefixes.js';
import { testSuites } from './suite.js';

testSuites(PREFIX_SUITES);
