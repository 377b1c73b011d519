/** Ends a process whose job cannot go on. Knows nothing of the job. */
import type { rpc } from 'gradwire';

/**
 * A member that dies takes others with it, and a busy process sees all of them at once, in any order. So it waits for so
 * long with its own end, and then names all who are gone: the first among them.
 */
const SETTLE_MS = 250;

/**
 * Ends this process with exit code 1, naming the dead, soon after a member of the group dies: all of them are needed, and
 * waiting for a dead one would only hide it. A member that leaves by `shutdown` is done with its part.
 */
export function endWith(worker: rpc.Worker): void {
  const dead: string[] = [];
  worker.events().subscribe(({ type, worker: member }) => {
    if (type !== 'dead') return;
    dead.push(`${member.name} (rank ${member.id})`);
    if (dead.length > 1) return;
    setTimeout(() => {
      console.error(`${worker.info.name}: ${dead.join(' and ')} died, so the job ends`);
      process.exit(1);
    }, SETTLE_MS);
  });
}
