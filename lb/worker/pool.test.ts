import { existsSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../../demo/lines.js';
import { program } from '../../test/support/assembler.js';
