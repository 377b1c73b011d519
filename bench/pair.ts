/** Two processes that are one group over gRPC: this one as `trainer1`, and a child that runs peer.ts as the server. */
import { randomBytes } from 'node:crypto';
import { rpc } from 'gradwire';
import { freePort, startNode } from './processes.ts';

/** The name of the other process; that of the server in the tutorial. */
export const PEER = 'parameter_server';

// Compiled beside this file, or source where Node runs TypeScript.
const peerModule = new URL(`./peer${import.meta.url.slice(-3)}`, import.meta.url);

/** Runs `work` while the pair is up; the functions of module `rpc` speak for this process. Both have left at the end. */
export async function withPeer<R>(work: () => Promise<R>): Promise<R> {
  const masterPort = await freePort();
  const token = randomBytes(32).toString('hex');
  const env = { MASTER_PORT: String(masterPort), GRADWIRE_TOKEN: token };
  const peer = startNode(peerModule, env);
  try {
    const joining = rpc.init({ name: 'trainer1', rank: 1, worldSize: 2, masterPort, token });
    await using _worker = await Promise.race([joining, failure(peer.ended)]);
    return await work();
  } finally {
    await peer.ended.catch((error: unknown) => {
      peer.kill();
      throw error;
    });
  }
}

async function failure(ended: Promise<void>): Promise<never> {
  await ended;
  throw new Error('the peer ended before it joined');
}
