/** The other process of the pair: the tutorial's parameter server, and what else the suites call. */
import { rpc } from 'gradwire';
import '../examples/parameter-server/parameter-server.ts';
import { SERVER } from './pair.ts';
import './parent.ts';
import './remote.ts';

await rpc.init({ name: SERVER, rank: 0, worldSize: 2 });
await rpc.shutdown();
