/** Two processes that are one group over gRPC: this one as `trainer1`, and a child that runs pair-server.ts. */
import { randomBytes } from 'node:crypto';
import { rpc } from 'gradwire';
import { beside, freePort, startNode } from './processes.ts';

/** The name of the other process; that of the server in the tutorial. */
export const SERVER = 'parameter_server';

/** Runs `work` while the pair is up; the functions of module `rpc` speak for this process. Both have left at the end. */
export async function withPair<R>(work: () => Promise<R>): Promise<R> {
  const masterPort = await freePort();
  const token = randomBytes(32).toString('hex');
  const env = { MASTER_PORT: String(masterPort), GRADWIRE_TOKEN: token };
  const server = startNode(beside('pair-server'), env);
  try {
    const joining = rpc.init({ name: 'trainer1', rank: 1, worldSize: 2, masterPort, token });
    await using _worker = await Promise.race([joining, failure(server.ended)]);
    return await work();
  } finally {
    await server.ended.catch((error: unknown) => {
      server.kill();
      throw error;
    });
  }
}

async function failure(ended: Promise<void>): Promise<never> {
  await ended;
  throw new Error('the server of the pair ended before it joined');
}
