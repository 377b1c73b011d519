/** Processes that shut down while another is stopped, or in the middle of a backward pass (F31): always in time, with a report. */
import { expect, test } from '@jest/globals';
import { CommandedGroup } from '../support/commanded.ts';
import { until } from '../support/until.ts';

const LIMIT_MS = 120_000;
/** Faster than the defaults, with a margin for a crowded machine. */
const FAST = { heartbeatMs: 200, deadAfterMs: 2_500 };
/** Nobody is found dead in the time of a test. */
const PATIENT = { deadAfterMs: 600_000 };

test(
  'F31: a stopped peer is not waited for once it is dead, and the report names it; it ends when it wakes',
  async () => {
    await using group = await CommandedGroup.start(3, FAST);
    const stopped = group.at(2);
    stopped.signal('SIGSTOP');
    const leaving = [0, 1].map((rank) => group.at(rank).do('shutdown', { timeoutMs: 60_000 }));
    for (const report of await Promise.all(leaving)) {
      expect(report).toEqual({ drained: false, cancelled: 0, dead: ['worker2'], leaked: [] });
    }
    stopped.signal('SIGCONT');
    const last = await stopped.do<{ drained: boolean; dead: string[] }>('shutdown', {});
    expect(last.drained).toBe(false);
  },
  LIMIT_MS,
);

test(
  'F31: the limit of a shutdown holds while a peer is stopped that counts as alive, under a call to it too',
  async () => {
    await using group = await CommandedGroup.start(3, PATIENT);
    const [caller, other, stopped] = [group.at(0), group.at(1), group.at(2)];
    const call = caller.do('call', 'worker2', 'held');
    call.catch(() => {});
    await stopped.serves(1);
    stopped.signal('SIGSTOP');
    const limit = { timeoutMs: 500 };
    const leaving = [caller, other].map((one) => one.do('shutdown', limit));
    const [first, second] = await Promise.all(leaving);
    expect(first).toMatchObject({ drained: false, cancelled: 1 });
    expect(second).toMatchObject({ drained: false, cancelled: 0 });
    await expect(call).rejects.toMatchObject({ code: 'shut_down' });
  },
  LIMIT_MS,
);

test(
  'F31: a shutdown waits for the backward pass that is under way',
  async () => {
    const chaos = 'worker0/gradient=delay:1s';
    await using group = await CommandedGroup.start(2, { chaos });
    const gradient = group.at(0).do('backward', 'worker1');
    await passing(group);
    const reports = [0, 1].map((rank) => group.at(rank).do('shutdown', { timeoutMs: 60_000 }));
    expect(await gradient).toBe(2);
    for (const report of await Promise.all(reports)) {
      expect(report).toMatchObject({ drained: true, cancelled: 0 });
    }
  },
  LIMIT_MS,
);

test.each([
  ['its initiator', 0],
  ['another that takes part', 1],
])(
  'F31: a backward pass that is cut short by the shutdown of %s: it fails by name, and nothing is left',
  async (_, rank) => {
    const chaos = 'worker0/gradient=delay:600s';
    await using group = await CommandedGroup.start(2, { chaos });
    const gradient = group.at(0).do('backward', 'worker1');
    gradient.catch(() => {});
    await passing(group);
    const report = await group.at(rank).do<{ drained: boolean }>('shutdown', { graceful: false });
    expect(report.drained).toBe(false);
    await expect(gradient).rejects.toMatchObject({
      code: expect.stringMatching(/^(backward_failed|context_released)$/),
    });
    const left = { 'autograd.numContexts': 0, 'autograd.numCurrentBackwardPasses': 0, tensors: 0 };
    for (const one of [0, 1]) {
      await until(async () => {
        expect(await group.at(one).do('info')).toMatchObject(left);
        return true;
      }, 20_000);
    }
  },
  LIMIT_MS,
);

/** Waits until worker1 has its share of a pass. */
async function passing(group: CommandedGroup): Promise<void> {
  await until(async () => {
    const info = await group.at(1).do<Record<string, number>>('info');
    return info['autograd.numCurrentBackwardPasses'] === 1;
  }, 20_000);
}
