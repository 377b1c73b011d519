/** A process is killed, or its connection cut, at each stage of a call (F1 to F4): what its caller hears, and what is left. */
import { expect, test } from '@jest/globals';
import { CommandedGroup } from '../support/commanded.ts';
import { until } from '../support/until.ts';

const LIMIT_MS = 120_000;
/** Values of a result that takes many segments. */
const MANY = 2_000_000;
const CUT_AFTER = '1MiB';

/** How the caller hears that worker1 is gone. */
function gone(maybeExecuted: boolean, stage = 'call'): object {
  return { code: 'unavailable', peer: 'worker1', stage, maybeExecuted };
}

test(
  'F1: the callee is killed before it reads the request: what was sent may have run, what was not has not',
  async () => {
    const chaos = 'worker1/call.received=kill@1';
    await using group = await CommandedGroup.start(2, { chaos, maxInFlightCalls: 1 });
    const caller = group.at(0);
    const [sent, held] = [1, 2].map(() => caller.do('call', 'worker1', 'bump'));
    held?.catch(() => {});
    await expect(sent).rejects.toMatchObject(gone(true));
    await expect(held).rejects.toMatchObject(gone(false, 'queue'));
    await caller.saw('dead worker1');
    await expect(caller.do('call', 'worker1', 'bump')).rejects.toMatchObject(gone(false));
  },
  LIMIT_MS,
);

test.each([
  ['F2: the callee is killed while it executes', 'die', undefined],
  [
    'F3: the callee is killed when it has executed, before its reply',
    'bump',
    'worker1/reply=kill@1',
  ],
])(
  '%s',
  async (_, fn, chaos) => {
    await using group = await CommandedGroup.start(3, chaos === undefined ? {} : { chaos });
    const caller = group.at(0);
    await expect(caller.do('call', 'worker1', fn)).rejects.toMatchObject(gone(true));
    for (const rank of [0, 2]) await group.at(rank).saw('dead worker1');
    // The others go on.
    expect(await caller.do('call', 'worker2', 'bump')).toBe(1);
    expect(await caller.do('info')).toMatchObject({ 'agent.clientActiveCalls': 0 });
  },
  LIMIT_MS,
);

test.each([
  ['result', 0, 'fetch', gone(true)],
  [
    'argument',
    1,
    'send',
    { code: 'unavailable', peer: 'worker0', stage: 'send', maybeExecuted: true },
  ],
])(
  'F4: the connection is cut in the middle of a large %s: what came of it is freed at both ends',
  async (_, rank, what, failure) => {
    // The second connection that it makes is the one to worker0.
    const chaos = `worker1/connection=cut:${CUT_AFTER}@2`;
    await using group = await CommandedGroup.start(3, { chaos });
    const tensors = async (): Promise<unknown[]> => {
      const infos = [0, 1].map((one) => group.at(one).do<Record<string, number>>('info'));
      return (await Promise.all(infos)).map((info) => info['tensors']);
    };
    const base = await tensors();
    const other = `worker${1 - rank}`;
    expect(await group.at(rank).do(what, other, 10)).toBe(10);
    await expect(group.at(rank).do(what, other, MANY)).rejects.toMatchObject(failure);
    await until(async () => {
      expect(await tensors()).toEqual(base);
      return true;
    });
    expect(await group.at(2).do(what, other, MANY)).toBe(MANY);
  },
  LIMIT_MS,
);
