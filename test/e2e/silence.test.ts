/** Processes that are stopped, woken, killed or busy, as the others see them. */
import { expect, test } from '@jest/globals';
import { CommandedGroup } from '../support/commanded.ts';
import { until } from '../support/until.ts';

const LIMIT_MS = 120_000;
/** Faster than the defaults, with a margin for a crowded machine. */
const FAST = { heartbeatMs: 200, deadAfterMs: 2_500 };

test(
  'F5, F6, F7: a stopped process is dead to all, its calls end, and it is fenced when it wakes',
  async () => {
    await using group = await CommandedGroup.start(3, FAST);
    const [first, second, stopped] = [group.at(0), group.at(1), group.at(2)];
    await stopped.do('make', 'worker0');
    const waiting = first.do('call', 'worker2', 'held');
    const meeting = second.do('barrier');
    const pending = [stopped.do('call', 'worker0', 'held'), stopped.do('call', 'worker1', 'held')];
    for (const one of pending) one.catch(() => {});
    for (const one of [first, second]) await one.serves(1);
    await stopped.serves(1);
    stopped.signal('SIGSTOP');
    await expect(waiting).rejects.toMatchObject({
      code: 'unavailable',
      peer: 'worker2',
      stage: 'call',
      maybeExecuted: true,
      message: expect.stringMatching(/worker2 is gone, it gave no sign of life for [\d.]+ s/),
    });
    await expect(meeting).rejects.toMatchObject({ code: 'unavailable', peer: 'worker2' });
    for (const one of [first, second]) {
      await one.saw('dead worker2');
      expect(one.events.indexOf('suspected worker2')).toBeGreaterThan(0);
      await expect(one.do('call', 'worker2', 'bump')).rejects.toMatchObject({
        code: 'unavailable',
        maybeExecuted: false,
      });
    }
    // What it made is gone, and so are the calls that it had made.
    await until(async () => {
      const info = await first.do('info');
      expect(info).toMatchObject({ 'rref.numOwnerRrefs': 0, signals: 1 });
      return true;
    }, 20_000);

    const sent = stopped.do('call', 'worker0', 'bump');
    sent.catch(() => {});
    stopped.signal('SIGCONT');
    for (const one of [...pending, sent]) {
      await expect(one).rejects.toMatchObject({ code: 'fenced' });
    }
    await stopped.saw('fenced worker0');
    await stopped.saw('fenced worker1');
    await expect(stopped.do('call', 'worker1', 'bump')).rejects.toMatchObject({
      code: 'fenced',
      maybeExecuted: false,
    });
    await expect(stopped.do('use', 0)).rejects.toMatchObject({ code: 'fenced', peer: 'worker0' });
    expect(await first.do('info')).toMatchObject({ bumps: 0 });
    // The others go on.
    expect(await first.do('call', 'worker1', 'bump')).toBe(1);
  },
  LIMIT_MS,
);

test(
  'F8: who computes without a pause is neither dead nor robbed of what it holds; F5, F23: a dead caller leaves nothing',
  async () => {
    await using group = await CommandedGroup.start(3, { ...FAST, referenceLeaseMs: 1_000 });
    const [owner, busy, initiator] = [group.at(0), group.at(1), group.at(2)];
    expect(await busy.do('make', 'worker0')).toBe(1);
    await initiator.do('context', 'worker0');
    const contexts = async (): Promise<number | undefined> => {
      const info = await owner.do<Record<string, number>>('info');
      return info['autograd.numContexts'];
    };
    expect(await contexts()).toBe(1);
    // Longer than any limit of silence: in a call of another, and so on the thread that answers.
    expect(await owner.do('call', 'worker1', 'busy', [6_000])).toBeGreaterThan(0);
    for (const one of [owner, initiator]) expect(one.events).not.toContain('dead worker1');
    expect(await owner.do('info')).toMatchObject({ 'rref.numOwnerRrefs': 1 });

    initiator.do('call', 'worker0', 'held').catch(() => {});
    await owner.serves(1);
    initiator.signal('SIGKILL');
    await owner.saw('dead worker2');
    await until(async () => {
      expect(await owner.do('info')).toMatchObject({ signals: 1 });
      expect(await contexts()).toBe(0);
      return true;
    }, 20_000);
  },
  LIMIT_MS,
);

test(
  'in a dynamic group the rank of a stopped worker is free again, and it can join anew',
  async () => {
    await using group = await CommandedGroup.start(3, { ...FAST, size: 'dynamic' });
    const [first, second, stopped] = [group.at(0), group.at(1), group.at(2)];
    stopped.signal('SIGSTOP');
    for (const one of [first, second]) await one.saw('dead worker2');
    const [from, alsoFrom] = [first.events.length, second.events.length];
    stopped.signal('SIGCONT');
    await stopped.saw('fenced worker0');
    await expect(stopped.do('call', 'worker0', 'bump')).rejects.toMatchObject({ code: 'fenced' });
    await stopped.do('rejoin');
    await first.saw('joined worker2', from);
    await second.saw('joined worker2', alsoFrom);
    expect(await stopped.do('call', 'worker0', 'bump')).toBe(1);
    expect(await first.do('call', 'worker2', 'bump')).toBe(1);
  },
  LIMIT_MS,
);

test(
  'two whose connection alone breaks are cut off from each other, and alive to the third',
  async () => {
    await using group = await CommandedGroup.start(3, FAST);
    const [first, second, third] = [group.at(0), group.at(1), group.at(2)];
    const waiting = first.do('call', 'worker1', 'held');
    waiting.catch(() => {});
    await second.serves(1);
    await second.do('cut', 0);
    await expect(waiting).rejects.toMatchObject({ code: 'unavailable', peer: 'worker1' });
    for (const [one, other] of [
      [first, 'worker1'],
      [second, 'worker0'],
    ] as const) {
      await one.saw(`dead ${other}`);
      await until(async () => {
        await expect(one.do('call', other, 'bump')).rejects.toMatchObject({
          code: 'unavailable',
          message: expect.stringContaining('cut off from this worker'),
        });
        return true;
      }, 20_000);
      expect(await third.do('call', one.name, 'bump')).toBe(1);
    }
    expect(third.events.join()).not.toMatch(/dead|fenced/);
  },
  LIMIT_MS,
);
