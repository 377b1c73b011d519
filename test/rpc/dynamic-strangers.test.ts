/** Who has the token of a dynamic group, but was not admitted by rank 0, is connected to nobody. */
import { expect, test } from '@jest/globals';
import { GrpcTransport } from '../../rpc/grpc/transport.ts';
import {
  type Connection,
  DYNAMIC,
  type Member,
  type NodeOptions,
  type Transport,
} from '../../rpc/transport.ts';
import { MemoryTransport } from '../../rpc/transport-memory.ts';
import { TRANSPORTS } from '../support/cluster.ts';
import { DynamicCluster, seenBy } from '../support/dynamic.ts';
import { add } from '../support/services.ts';
import { until } from '../support/until.ts';

/** Notes whom the workers dial. */
function watched(base: Transport, dialled: Member[]): Transport {
  return {
    name: 'watched',
    start: async (options) => {
      const node = await base.start(options);
      return {
        join: (timeoutMs) => node.join(timeoutMs),
        close: () => node.close(),
        dial: (member, timeoutMs) => {
          dialled.push(member);
          return node.dial(member, timeoutMs);
        },
      };
    },
  };
}

/** Resolves when the other end has closed the connection. */
function closed(connection: Connection): Promise<void> {
  return new Promise((resolve) => {
    connection.start({ data: () => {}, drain: () => {}, close: () => resolve() });
  });
}

test.each(TRANSPORTS)(
  'strangers and those who were members are not let in (%s)',
  async (transport) => {
    const base = transport === 'grpc' ? new GrpcTransport() : new MemoryTransport();
    const dialled: Member[] = [];
    await using group = await DynamicCluster.make({ transport: watched(base, dialled) });
    await group.grow(2);
    await group.join(2);
    const find = (name: string): Member => dialled.find((one) => one.name === name) as Member;
    await until(() => dialled.some(({ name }) => name === 'worker1'));
    const node = (rank: number, incarnation: string) => {
      const { masterPort } = group.options;
      const who = {
        name: 'x',
        rank,
        incarnation,
        host: undefined,
        group: undefined,
        accept: () => {},
      };
      const options: NodeOptions = {
        ...who,
        worldSize: DYNAMIC,
        masterAddr: '127.0.0.1',
        masterPort,
        token: 'secret',
      };
      return base.start(options);
    };
    // Made up; the holder of the rank is another; that of rank 0.
    for (const [rank, incarnation] of [
      [5, 'made up'],
      [2, 'made up too'],
      [1, find('worker0').incarnation],
    ] as const) {
      const stranger = await node(rank, incarnation);
      await closed(await stranger.dial(find('worker0'), 2_000));
      // A member waits for a while whether rank 0 tells of it.
      const waiting = await stranger.dial(find('worker1'), 2_000);
      expect(seenBy(group.at(1))).toEqual(['worker0', 'worker1', 'worker2']);
      expect(group.at(1).endpoint.isConnected(5)).toBe(false);
      waiting.close();
      await stranger.close();
    }
    // The members have taken no harm.
    expect(await group.at(2).rpcSync(1, add, [1, 1])).toBe(2);
    expect(await group.at(0).rpcSync(2, add, [1, 1])).toBe(2);
  },
);
