/** A process of suite `faults`: serves until all that live want to leave. */
import { rpc } from 'gradwire';
import { faultName } from './fault-calls.ts';
import './parent.ts';

await rpc.init({ name: faultName(Number(process.env['RANK'])) });
await rpc.shutdown();
