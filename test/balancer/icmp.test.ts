import { ICMP_SUITES } from './cases/icmp.js';
import { testSuites } from './suite.js';

testSuites(ICMP_SUITES);
