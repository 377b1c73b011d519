/** A process of suite `faults`: serves until all that live want to leave. */
import { rpc } from 'gradwire';
import { faultName } from './fault-calls.ts';
import './parent.ts';

await rpc.init({ name: faultName(Number(process.env['RANK'])) });
// Nobody is harmed, or computes, before all are connected.
await rpc.barrier();
await rpc.shutdown();
