import { DECAP_SUITES } from './cases/decap.js';
import { testSuites } from './suite.js';

testSuites(DECAP_SUITES);
