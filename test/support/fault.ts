import { CodedError, type Fault } from '../../lb/errors.js';

/** What something is refused with; undefined where it is not. Anything else that it throws goes on. */
export async function faultOf(run: () => unknown): Promise<Fault | undefined> {
  try {
    await run();
  } catch (error) {
    if (error instanceof CodedError) return error.fault;
    throw error;
  }
  return undefined;
}
