/** The other process of the pair: the tutorial's parameter server, and what else the suites call. */
import { rpc } from 'gradwire';
import '../examples/parameter-server/parameter-server.ts';
import { PEER } from './pair.ts';
import './remote.ts';

// Ends with the process that started it, even if that was killed.
process.once('disconnect', () => process.exit(1));
process.channel?.unref();

await rpc.init({ name: PEER, rank: 0, worldSize: 2 });
await rpc.shutdown();
