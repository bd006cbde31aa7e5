import { type Command, Option } from 'commander';
import { CliError, EXIT, usageError } from './faults.js';
import { isForPeople, type Output, structured } from './format.js';

const ROLES = ['viewer', 'operator', 'admin'] as const;

interface TokenOptions {
  readonly output: Output;
  readonly name: string;
  readonly role: (typeof ROLES)[number];
}

/** The first line of standard input; undefined where nobody writes to it. */
async function givenToken(): Promise<string | undefined> {
  if (process.stdin.isTTY) return undefined;
  let text = '';
  for await (const chunk of process.stdin) text += String(chunk);
  return text.split('\n')[0]?.trim() || undefined;
}

async function hashToken({ output, name, role }: TokenOptions, isGiven: boolean): Promise<void> {
  const tokens = await import('../security/tokens.js');
  const given = isGiven ? await givenToken() : undefined;
  if (isGiven && given === undefined)
    throw usageError('token: --stdin was given, and standard input is empty');
  const token = given ?? tokens.createToken();
  let sha256: string;
  try {
    sha256 = tokens.hashToken(token);
  } catch (error) {
    throw new CliError(EXIT.usage, error instanceof Error ? error.message : String(error), 'SECURITY_TOKEN');
  }
  const entry = { name, role, sha256 };
  if (!isForPeople(output)) {
    console.log(structured(given === undefined ? { token, entry } : { entry }, output));
    return;
  }
  // The secret goes where only the caller looks; what the server keeps can be redirected into its file.
  if (given === undefined) process.stderr.write(`token, shown this once: ${token}\n`);
  console.log(structured([entry], 'yaml'));
}

export function addHashToken(program: Command): void {
  const command = program.command('hash-token');
  command
    .description("make a bearer token, and the entry of it for the server's access file")
    .option('--name <who>', 'whose it is, for the audit log', 'somebody')
    .addOption(new Option('--role <role>', 'what it may do').choices(ROLES).default('viewer'))
    .option('--stdin', 'hash the token that standard input has, instead of making one')
    .action(() => {
      const options = command.optsWithGlobals<TokenOptions & { stdin?: boolean }>();
      return hashToken(options, options.stdin === true);
    });
}
