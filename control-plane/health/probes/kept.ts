import type { Keep, Kept } from '../keep.js';
import type { Finish } from './attempt.js';

/** One exchange over a connection. */
export type Exchange<C> = (
  connection: C,
  /**
   * The connection had been kept and turned out to be gone before anything of the answer came: ask again over a new
   * one. Undefined for one that is new: that is a failure.
   */
  again: (() => void) | undefined,
) => void;

/** The connection that a probe uses. */
export interface InUse<C> {
  readonly connection: C;
  /** Leave it for the next probe. */
  keep(): void;
  /** Close it, unless it was left. */
  release(): void;
}

/**
 * Ask over the connection that is kept, if there is one, and otherwise over a new one. A server may close what is idle
 * at any moment, so also while the question is on its way: then, once, a new connection is the answer to that.
 * @throws what `open` throws
 */
export function askOver<C extends Kept>(
  kept: C | undefined,
  finish: Finish,
  open: () => C,
  exchange: Exchange<C>,
  keep: Keep | undefined,
): InUse<C> {
  let connection = kept ?? open();
  let isLeft = false;
  const again = () => {
    connection.close();
    try {
      connection = open();
      exchange(connection, undefined);
    } catch (error) {
      finish.error(error);
    }
  };
  exchange(connection, kept === undefined ? undefined : again);
  return {
    get connection() {
      return connection;
    },
    keep: () => {
      isLeft = true;
      if (keep === undefined) connection.close();
      else keep.put(connection);
    },
    release: () => {
      if (!isLeft) connection.close();
    },
  };
}
