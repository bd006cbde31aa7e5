import { afterAll } from 'vitest';
import { closeDatapaths } from './datapath-engine.js';

// Set-up files run for each test file, modules that are shared but once: each file ends with no datapath of its own.
afterAll(closeDatapaths);
