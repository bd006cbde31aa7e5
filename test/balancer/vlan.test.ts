import { VLAN_SUITES } from './cases/vlan.js';
import { testSuites } from './suite.js';

testSuites(VLAN_SUITES);
