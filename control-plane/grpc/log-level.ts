import { type LevelledLog, LOG_LEVELS, parseLogLevel } from '../log.js';
import { fieldError } from '../state/faults.js';
import { NODE_NAME } from '../state/model.js';
import type { EventLog } from '../watch/event-log.js';
import type { Surroundings } from './conduct.js';
import type { NodeServiceHandlers } from './generated/waggle/v1/NodeService.js';
import { checkNode } from './node.js';
import { unary } from './unary.js';

/** GetLogLevel and SetLogLevel of waggle.v1.NodeService. */
export function logLevelHandlers(
  log: Pick<LevelledLog, 'level' | 'setLevel'>,
  events: EventLog,
  around: Surroundings,
): Pick<NodeServiceHandlers, 'GetLogLevel' | 'SetLogLevel'> {
  return {
    GetLogLevel: unary(around, 'GetLogLevel', ({ name }) => {
      checkNode(name);
      return { level: log.level };
    }),

    SetLogLevel: unary(around, 'SetLogLevel', ({ name, level: text }, _, caller) => {
      checkNode(name);
      const level = parseLogLevel(text);
      if (level === undefined)
        throw fieldError('level', `"${text}" is not a level: one of ${LOG_LEVELS.join(', ')}`);
      const before = log.level;
      if (level === before) return { level };
      log.setLevel(level);
      caller.changed({
        name: NODE_NAME,
        how: 'updated',
        before: { log_level: before },
        after: { log_level: level },
      });
      events.emit({
        type: 'node.log_level_changed',
        resource: NODE_NAME,
        message: `the log has the level ${level}, ${before} before`,
        actor: caller.name,
        attributes: { from: before, to: level },
      });
      return { level };
    }),
  };
}
