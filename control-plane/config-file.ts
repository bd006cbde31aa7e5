import { readFile } from 'node:fs/promises';
import type { NodeConfig } from './config/index.js';
import {
  type ApplianceSettings,
  applianceSettings,
  ConfigError,
  desiredState,
  loadConfig,
  restartNeeded,
} from './config/index.js';
import type { LevelledLog } from './log.js';
import type { Reconciler } from './reconcile/reconciler.js';
import { FileWatch } from './security/watch-files.js';
import { targetWithDrains } from './state/fields.js';
import type { EventLog } from './watch/event-log.js';

/** Who makes the changes that the file asks for, in the history. */
const ACTOR = 'config';

export interface ConfigFileOptions {
  readonly path: string;
  /** As it was when the process started. */
  readonly settings: ApplianceSettings;
  readonly reconciler: Reconciler;
  readonly events: EventLog;
  readonly log: LevelledLog;
}

/** Read a configuration file. @throws ConfigError with all that is wrong; the file system's error where it cannot be read */
export async function readConfigFile(path: string): Promise<NodeConfig> {
  return loadConfig(await readFile(path, 'utf8'), path);
}

/**
 * The configuration file of a node that runs: what it declares is put in force at the start, when it changes and when that is
 * asked for, all of it or nothing. A file that cannot be used changes nothing.
 */
export class ConfigFile {
  readonly #options: ConfigFileOptions;
  #settings: ApplianceSettings;
  #watch: FileWatch | undefined;
  #tail: Promise<unknown> = Promise.resolve();
  /** What was last put in force: what is written without a change is not read as one. */
  #text: string | undefined;

  constructor(options: ConfigFileOptions) {
    this.#options = options;
    this.#settings = options.settings;
  }

  /** Put it in force. @throws ConfigError, StateError, ReconcileError, JournalError; nothing has changed then */
  async apply(): Promise<void> {
    const { path, reconciler, log } = this.#options;
    const text = await readFile(path, 'utf8');
    const config = loadConfig(text, path);
    const settings = applianceSettings(config);
    const waiting = restartNeeded(this.#settings, settings);
    if (waiting.length > 0) {
      log('warn', 'keys of the configuration file take effect at the next start', {
        file: path,
        keys: waiting,
      });
    }
    let before = 0;
    const after = await reconciler.change((store) => {
      before = store.state.revision;
      const state = desiredState(config, { nowMs: Date.now(), current: store.state });
      const change = { kind: 'apply', target: targetWithDrains(state), prune: true } as const;
      return store.draft(change, ACTOR, `file ${path}`.slice(0, 255));
    });
    if (settings.logLevel !== undefined && settings.logLevel !== this.#settings.logLevel)
      log.setLevel(settings.logLevel);
    this.#settings = { ...this.#settings, logLevel: settings.logLevel };
    this.#text = text;
    const isChanged = after.revision !== before;
    log('info', isChanged ? 'the configuration file is in force' : 'the configuration file changes nothing', {
      file: path,
      revision: after.revision,
    });
  }

  /** Put it in force where that can be done. Resolves to whether it could; faults are logged and told as an event. */
  reload(): Promise<boolean> {
    const turn = this.#tail.then(() => this.#reload());
    this.#tail = turn;
    return turn;
  }

  /** Reload it whenever it changes, until `stop`. */
  watch(): void {
    const { path, log } = this.#options;
    this.#watch ??= new FileWatch(
      [path],
      () => void this.#reloadChanged(),
      (directory, error) =>
        log('warn', 'the configuration file is not watched: it is read again on SIGHUP alone', {
          directory,
          error,
        }),
    );
  }

  /** Idempotent. */
  stop(): void {
    this.#watch?.close();
    this.#watch = undefined;
  }

  /** Other files of its directory change too. */
  async #reloadChanged(): Promise<void> {
    try {
      if ((await readFile(this.#options.path, 'utf8')) === this.#text) return;
    } catch (error) {
      this.#rejected(error);
      return;
    }
    await this.reload();
  }

  async #reload(): Promise<boolean> {
    try {
      await this.apply();
      return true;
    } catch (error) {
      this.#rejected(error);
      return false;
    }
  }

  #rejected(error: unknown): void {
    const { path, events, log } = this.#options;
    const faults = error instanceof ConfigError ? error.faults.length : 1;
    const reason = error instanceof Error ? error.message : String(error);
    log('error', 'the configuration file is not put in force: what was in force goes on', {
      file: path,
      reason,
    });
    events.emit({
      type: 'config.rejected',
      message: `${path}: ${reason.split('\n')[0]}${faults > 1 ? ` (and ${faults - 1} more)` : ''}`,
      actor: ACTOR,
      attributes: { file: path, faults: String(faults) },
    });
  }
}
