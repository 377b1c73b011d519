/** Runs what a user wrote for the end of things, where no caller is there to hear of its failure. Knows nothing of rpc. */
import { debuglog } from 'node:util';

const debug = debuglog('gradwire');

/**
 * Runs `work`; what it throws, or rejects with, is only logged (NODE_DEBUG=gradwire), so that the rest is done too.
 *
 * @param what names the work in the log
 */
export function quietly(what: string, work: () => unknown): void {
  const failed = (error: unknown): void => debug('%s failed: %s', what, error);
  try {
    const result = work();
    if (result instanceof Promise) result.catch(failed);
  } catch (error) {
    failed(error);
  }
}
