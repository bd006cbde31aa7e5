import { vi } from 'vitest';
import { run } from '../../control-plane/cli/run.js';

/** How a command ended, and what it said. */
export interface CliResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

type Environment = Readonly<Record<string, string>>;

/** Nobody's contexts, unless a test has some. */
const NO_CONTEXTS = '/nowhere/contexts.yaml';

/** Have variables of the command line, and no others of its own. @returns what undoes it */
function setEnvironment(env: Environment): () => void {
  const before = Object.entries(process.env).filter(([name]) => /^(WAGGLE_(?!CORPUS)|NO_COLOR)/.test(name));
  for (const [name] of before) delete process.env[name];
  const own = { WAGGLE_CONFIG: NO_CONTEXTS, ...env };
  Object.assign(process.env, own);
  return () => {
    for (const name of Object.keys(own)) delete process.env[name];
    Object.assign(process.env, Object.fromEntries(before));
  };
}

/**
 * Run a command line in this process: as `waggle` does, without the time of a start.
 * @param onOutput told all of standard output so far, whenever there is more
 */
export async function runCli(
  args: readonly string[],
  env: Environment = {},
  onOutput: (stdout: string) => void = () => {},
): Promise<CliResult> {
  let stdout = '';
  let stderr = '';
  const print = (text: string) => {
    stdout += text;
    onOutput(stdout);
  };
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
      print(String(chunk));
      return true;
    }),
    vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
      stderr += String(chunk);
      return true;
    }),
    vi.spyOn(console, 'log').mockImplementation((...texts) => {
      print(`${texts.join(' ')}\n`);
    }),
    vi.spyOn(console, 'error').mockImplementation((...texts) => {
      stderr += `${texts.join(' ')}\n`;
    }),
  ];
  const before = process.exitCode;
  const restore = setEnvironment(env);
  process.exitCode = undefined;
  try {
    const status = (await run(args)) ?? Number(process.exitCode ?? 0);
    return { status, stdout, stderr };
  } finally {
    process.exitCode = before;
    restore();
    for (const spy of spies) spy.mockRestore();
  }
}
