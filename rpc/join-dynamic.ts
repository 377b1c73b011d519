/** How a worker joins a group that others join and leave meanwhile: admitted by rank 0, then connected to all. */
import { GradwireError } from '../errors.ts';
import { DynamicGroup } from './dynamic-group.ts';
import { type Joining, meetMaster, startNode } from './joining.ts';
import { Membership } from './membership.ts';
import { firstIdOf } from './reference-ids.ts';
import type { Connection, Member } from './transport.ts';
import { WorkerNode } from './worker.ts';

/** Resolves when all that are there count this worker in; rank 0 is a group of its own at once. */
export async function joinDynamic(joining: Joining): Promise<WorkerNode> {
  const { options, incarnation, deadline, liveness } = joining;
  const group = options.rank === 0 ? new DynamicGroup() : undefined;
  const early: Connection[] = [];
  let offer = (connection: Connection): void => {
    early.push(connection);
  };
  const node = await startNode(joining, group, (connection) => offer(connection));
  try {
    const [master] = await meetMaster(joining, node);
    if (master === undefined) throw noMaster();
    const close = (): Promise<void> => node.close();
    const firstId = firstIdOf(incarnation);
    const worker = new WorkerNode(options, [self(joining)], { close, liveness, firstId });
    const membership = new Membership({ host: worker, node, incarnation, group });
    worker.membership = membership;
    offer = (connection) => membership.offer(connection);
    membership.open();
    for (const connection of early.splice(0)) offer(connection);
    try {
      if (group === undefined) await membership.join(options.rank, master, deadline);
    } catch (error) {
      await worker.shutdown({ graceful: false });
      throw error;
    }
    node.ready?.();
    return worker;
  } catch (error) {
    for (const connection of early) connection.close();
    await node.close();
    throw error;
  }
}

/** The worker itself knows its place in the order of arrivals later, and needs its address never. */
function self({ options: { name, rank }, incarnation }: Joining): Member {
  return { name, rank, address: '', incarnation };
}

function noMaster(): GradwireError {
  return new GradwireError('protocol_error', 'rank 0 answered without saying who it is', {
    stage: 'init',
  });
}
