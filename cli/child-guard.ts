/**
 * Loaded first in every rank (`node --import`): ends the rank when its launcher is gone, even by SIGKILL, and tells the
 * launcher what it reports of a failure. The channel between them closes with the launcher, and the rank exits as soon
 * as its event loop turns; a rank that blocks its loop is left to the reaper (`reaper.ts`), which knows of it unless the
 * launcher was gone before the rank came here. Changes nothing else of what the rank does, and does not keep it alive.
 */
import { subscribe } from 'node:diagnostics_channel';
import { isMainThread } from 'node:worker_threads';
import { errorNote, type RankNote } from './rank-note.ts';

/** Exit code of a rank whose launcher is gone. Nobody is left to read it but a debugger. */
const LAUNCHER_GONE = 1;
/** Where a worker that has joined its group says `{ name }`. */
const WORKER_CHANNEL = 'gradwire.worker';

/** Written at once, so that it arrives even if the process ends now. */
function tell(note: RankNote): void {
  try {
    process.send?.(note, undefined, undefined, () => undefined);
  } catch {
    // A note less; the rank is to end as it would have without us.
  }
}

/** What the rank starts itself (`fork`) gets the flags of Node from here, and is not to be guarded. */
function leaveFlags(): void {
  const at = process.execArgv.indexOf(import.meta.url);
  if (at > 0) process.execArgv.splice(at - 1, 2);
}

// Threads of the rank load this module too; the channel is the main thread's.
if (isMainThread) {
  leaveFlags();
  const launcher = Number(new URL(import.meta.url).searchParams.get('launcher'));
  if (process.channel === undefined || process.ppid !== launcher) process.exit(LAUNCHER_GONE);
  process.once('disconnect', () => process.exit(LAUNCHER_GONE));
  process.on('uncaughtExceptionMonitor', (error) => {
    try {
      tell(errorNote(error, Date.now()));
    } catch {
      // Something was thrown that cannot be read.
    }
  });
  process.once('exit', (code) => {
    if (code !== 0) tell({ gradwire: 'exit', atMs: Date.now() });
  });
  subscribe(WORKER_CHANNEL, (message) => {
    const { name } = message as { readonly name?: unknown };
    if (typeof name === 'string') tell({ gradwire: 'worker', name });
  });
  process.channel.unref();
}
