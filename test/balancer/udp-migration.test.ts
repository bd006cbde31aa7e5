import { MIGRATION_SUITES } from './cases/migration.js';
import { testSuites } from './suite.js';

testSuites(MIGRATION_SUITES);
