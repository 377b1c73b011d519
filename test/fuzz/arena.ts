/** Where sessions are played: two good members of a dynamic group, and a way in for the attacker. */
import { v7 } from 'uuid';
import { GrpcTransport } from '../../rpc/grpc/transport.ts';
import { init } from '../../rpc/init.ts';
import type { Connection } from '../../rpc/transport.ts';
import { connectionPair, MemoryTransport } from '../../rpc/transport-memory.ts';
import type { WorkerNode } from '../../rpc/worker.ts';
import { freePort } from '../support/cluster.ts';
import { ATTACKER } from './peer.ts';

export interface Arena {
  readonly workers: readonly WorkerNode[];
  /** Those that the attacker reaches. */
  readonly targets: readonly WorkerNode[];
  /** Whether what is said takes its time, and the attacker must say that it is ready before it counts as a member. */
  readonly isLive: boolean;
  connect(target: WorkerNode, session: number): Promise<Connection>;
}

/** In one process, without anything between. */
export async function memoryArena(): Promise<Arena> {
  const workers = await members({ masterPort: 1, transport: new MemoryTransport() });
  return {
    workers,
    targets: workers,
    isLive: false,
    connect: (target, session) => {
      const identity = { ...ATTACKER, incarnation: `attacker ${session}` };
      const [mine, theirs] = connectionPair(identity, identity);
      target.welcome({ ...identity, since: session + 10 }, false);
      target.attach(theirs);
      return Promise.resolve(mine);
    },
  };
}

/** Over gRPC: the attacker has the token, joins, and opens a stream to rank 0, which admits it as a member. */
export async function liveArena(): Promise<Arena> {
  const masterPort = await freePort();
  const token = 'secret';
  const workers = await members({ masterPort, token, transport: 'grpc' });
  return {
    workers,
    targets: workers.slice(0, 1),
    isLive: true,
    connect: async () => {
      const node = await new GrpcTransport().start({
        ...ATTACKER,
        worldSize: 0,
        masterAddr: '127.0.0.1',
        masterPort,
        incarnation: v7(),
        group: undefined,
        host: undefined,
        token,
        accept: (connection) => connection.close(),
      });
      try {
        const [master] = await node.join(10_000);
        if (master === undefined) throw new Error('nobody is there');
        return await node.dial(master, 10_000);
      } finally {
        await node.close();
      }
    },
  };
}

type Where =
  | { readonly masterPort: number; readonly transport: MemoryTransport }
  | { readonly masterPort: number; readonly transport: 'grpc'; readonly token: string };

async function members(where: Where): Promise<readonly WorkerNode[]> {
  const workers: WorkerNode[] = [];
  for (const rank of [0, 1]) {
    const options = { engine: 'cpu', worldSize: 'dynamic', rank, name: `worker${rank}` } as const;
    workers.push((await init({ ...options, ...where })) as WorkerNode);
  }
  return workers;
}
