import { ROUTE_SUITES } from './cases/routes.js';
import { testSuites } from './suite.js';

testSuites(ROUTE_SUITES);
