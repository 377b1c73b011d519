/**
 * Loaded first in every rank (`node --import`): ends the rank when its launcher is gone, even by SIGKILL. The channel
 * to the launcher closes with it, and the rank exits as soon as its event loop turns. A rank that blocks its loop for
 * ever is beyond this guard. Carries no messages and does not keep the rank alive.
 */
import { isMainThread } from 'node:worker_threads';

/** Exit code of a rank whose launcher is gone. Nobody is left to read it but a debugger. */
const LAUNCHER_GONE = 1;

// Threads of the rank load this module too; the channel is the main thread's.
if (isMainThread && process.channel !== undefined) {
  process.once('disconnect', () => process.exit(LAUNCHER_GONE));
  process.channel?.unref();
}
