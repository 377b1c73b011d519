/** Ends a process whose job cannot go on. Knows nothing of the job. */
import type { rpc } from 'gradwire';

/**
 * Ends this process with exit code 1, naming the member, as soon as a member of the group dies: all of them are needed, and
 * waiting for a dead one would only hide it. A member that leaves by `shutdown` is done with its part.
 */
export function endWith(worker: rpc.Worker): void {
  worker.events().subscribe(({ type, worker: member }) => {
    if (type !== 'dead') return;
    console.error(`${worker.info.name}: ${member.name} (rank ${member.id}) died, so the job ends`);
    process.exit(1);
  });
}
