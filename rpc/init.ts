/** Joins a group: checks the options, starts the engine and the carrier, and joins in the way of the group. */
import { channel } from 'node:diagnostics_channel';
import { v7 as uuidv7 } from 'uuid';
import { outside, startEngine } from '../tensor/index.ts';
import type { FaultPlan } from './faults/fault-plan.ts';
import { withFaults } from './faults/faulty-transport.ts';
import { GrpcTransport } from './grpc/transport.ts';
import { joinDynamic } from './join-dynamic.ts';
import { joinStatic } from './join-static.ts';
import { beginLiveness } from './joining.ts';
import { type InitOptions, localProcesses, resolveOptions } from './options.ts';
import { secured } from './secured.ts';
import { DYNAMIC, type Transport } from './transport.ts';
import { MemoryTransport } from './transport-memory.ts';
import type { Worker } from './worker-api.ts';

const CARRIERS: Readonly<Record<'grpc' | 'memory', Transport>> = {
  grpc: new GrpcTransport(),
  memory: new MemoryTransport(),
};

/** Tells whoever watches this process, such as the launcher, as whom it has joined: `{ name }`. */
const JOINED = channel('gradwire.worker');

/**
 * Joins the group. With a world size the group is static: resolves when all its members are there and connected. Without
 * one it is dynamic: rank 0 is ready at once, any other when all that are there at the time are connected to it; members
 * come and leave while others work, and a rank can be given again after its holder has left. Every process calls it once
 * per worker, after it has registered what the others may call; several workers may live in one process, in one group
 * or in several. Leave by `await using`, `worker.shutdown()` or `rpc.shutdown()`; then the process may join again.
 * PyTorch: `torch.distributed.rpc.init_rpc`.
 *
 * @throws GradwireError `invalid_argument`, `init_timeout` naming who is missing, `duplicate_name`, `duplicate_rank`,
 * `group_mismatch` (static and dynamic members do not mix), `unavailable`, `address_in_use`, `insecure_address`, `unauthenticated`, `engine_unavailable`
 */
export async function init(options: InitOptions): Promise<Worker> {
  const resolved = secured(resolveOptions(options, process.env));
  const { transport, initTimeoutMs, worldSize, chaos } = resolved;
  // A plan that a test has made is no surprise.
  if (chaos !== undefined && chaos !== options.chaos) warnOf(chaos, resolved.name);
  const chosen = typeof transport === 'string' ? CARRIERS[transport] : transport;
  const carrier = withFaults(chosen, chaos);
  const incarnation = uuidv7();
  // Sockets keep the asynchronous flow in which they were made: none of the user's.
  return outside(async () => {
    // Its thread starts while the engine does.
    const liveness = beginLiveness(resolved, carrier, incarnation);
    try {
      await startEngine(resolved.engine, localProcesses(resolved));
      const deadline = performance.now() + initTimeoutMs;
      const joining = { options: resolved, carrier, incarnation, deadline, liveness };
      const worker = await (worldSize === DYNAMIC ? joinDynamic(joining) : joinStatic(joining));
      JOINED.publish({ name: resolved.name });
      return worker;
    } catch (error) {
      liveness?.close();
      throw error;
    }
  });
}

/** A run with faults never looks like one without. */
function warnOf({ text, seed }: FaultPlan, name: string): void {
  const message = `${name} injects faults: ${text} (seed ${seed})`;
  process.emitWarning(message, { type: 'GradwireWarning', code: 'GRADWIRE_CHAOS' });
}
