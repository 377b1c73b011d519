/** Waiting by condition, never by time alone. */
import { setImmediate } from 'node:timers/promises';

/**
 * Waits until `fn` gives something truthy, and gives that; looks again after each turn of the event loop.
 *
 * @throws the last error of `fn`, or one that shows `fn`, when `deadlineMs` have passed
 */
export async function until<R>(fn: () => R | Promise<R>, deadlineMs = 5000): Promise<R> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    let failure: unknown;
    try {
      const result = await fn();
      if (result) return result;
    } catch (error) {
      failure = error;
    }
    if (performance.now() > end) {
      throw failure ?? new Error(`not true within ${deadlineMs} ms: ${fn}`);
    }
    await setImmediate();
  }
}
