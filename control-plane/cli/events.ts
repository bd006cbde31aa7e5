import { type Command, Option } from 'commander';
import type { Event__Output } from '../grpc/generated/waggle/v1/Event.js';
import { several, shortName, wholeNumber } from './arguments.js';
import { counted, type Tone, timeText, toned } from './format.js';
import { printEach, untilStopped } from './lines.js';
import { getNode } from './lists.js';
import { type GlobalOptions, type Session, withSession } from './session.js';

interface EventOptions extends GlobalOptions {
  readonly type?: readonly string[];
  readonly resource?: readonly string[];
  readonly after: number | typeof NOW;
  readonly follow?: boolean;
}

/** In the place of a sequence. */
const NOW = 'now';
const parseSequence = wholeNumber(0, Number.MAX_SAFE_INTEGER);

/** What is remembered comes at once: after so long without an event there is no more of it. */
const SILENCE_MS = 500;

/** How loud an event is, by its type and what it says. */
function toneOf({ type, attributes }: Event__Output): Tone | undefined {
  if (/^(worker\.restarted|packet\.dropped)/.test(type)) return 'bad';
  if (type === 'backend.health_changed') return attributes.health === 'healthy' ? 'good' : 'bad';
  if (type === 'backend.next_hop_changed') return attributes.turn === 'lost' ? 'bad' : 'good';
  if (type === 'pool.mode_changed') return 'warn';
  return /drain/.test(type) ? 'warn' : undefined;
}

const TYPE_WIDTH = 24;

function eventText(event: Event__Output, isColored: boolean): string {
  const { time, type, resource, message, actor, missed } = event;
  const line = [
    toned(timeText(time), 'dim', isColored),
    toned(type.padEnd(TYPE_WIDTH), toneOf(event), isColored),
    // Most sentences name them; what is said already is not said again.
    ...(resource === '' || message.includes(resource) ? [] : [shortName(resource)]),
    message,
    ...(actor === '' || message.includes(actor) ? [] : [`(${actor})`]),
  ].join('  ');
  return missed === '0' ? line : `${toned(`${counted(missed, 'event')} missed`, 'warn', isColored)}\n${line}`;
}

async function events(session: Session, options: EventOptions): Promise<void> {
  const { client } = session;
  const { type = [], resource = [], after, follow } = options;
  const request = {
    types: [...type],
    resources: [...resource],
    ...(after === NOW ? {} : { afterSequence: String(after) }),
  };
  // Silence says that there is no more only once the server is known to answer.
  if (!follow) await getNode(session);
  await untilStopped(async (stopped) => {
    const quiet = new AbortController();
    const signal = AbortSignal.any([stopped, quiet.signal]);
    const wait = () => (follow ? undefined : setTimeout(() => quiet.abort(), SILENCE_MS));
    let timer = wait();
    for await (const event of client.stream((call) => client.stats.WatchEvents(request, call), signal)) {
      printEach(session, event, () => eventText(event, session.isColored));
      clearTimeout(timer);
      timer = wait();
    }
    clearTimeout(timer);
  });
}

export function addEvents(program: Command): void {
  const command = program.command('events');
  command
    .description(
      'what happened: changes, health, ends of drains, workers that died, packets that were dropped',
    )
    .addOption(
      new Option(
        '--type <type>',
        'of this type, or whose type begins so, as "backend."; may be given several times',
      ).argParser(several),
    )
    .addOption(
      new Option('--resource <name>', 'of this resource, as vips/web; may be given several times').argParser(
        several,
      ),
    )
    .addOption(
      new Option(
        '--after <sequence>',
        `behind this one; 0: all that are remembered; ${NOW}: those to come alone`,
      )
        .argParser((text) => (text === NOW ? NOW : parseSequence(text)))
        .default(0),
    )
    .option('--follow', 'and those to come, until Ctrl-C')
    .action(() => {
      const options = command.optsWithGlobals<EventOptions>();
      return withSession(options, (session) => events(session, options));
    });
}
