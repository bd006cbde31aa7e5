import { QUIC_SUITES } from './cases/quic.js';
import { testSuites } from './suite.js';

testSuites(QUIC_SUITES);
