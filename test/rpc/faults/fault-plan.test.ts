/** Which messages a plan hits. */
import { expect, test } from '@jest/globals';
import { FaultPlan, type Passing, type WorkerFaults } from '../../../rpc/faults/fault-plan.ts';

const WORKER = { name: 'worker0', rank: 0 };

function passing(kind: Passing['kind'], more: Partial<Passing> = {}): Passing {
  return { kind, direction: 'sent', peer: 1, notices: () => [], ...more };
}

function hits(faults: WorkerFaults, count: number, message = passing('call')): number[] {
  const nths = Array.from({ length: count }, (_, index) => index + 1);
  return nths.filter(() => faults.judge(message).size > 0);
}

test('occurrences are counted by rule, for the messages that it speaks of', () => {
  const faults = new FaultPlan('call=drop@2-3,method=fail*1').for(WORKER);
  expect(hits(faults, 4)).toEqual([2, 3]);
  expect(hits(faults, 2, passing('call', { direction: 'received' }))).toEqual([]);
  expect(hits(faults, 2, passing('method'))).toEqual([1]);
});

test('a rule for one worker counts there alone, and each worker counts for itself', () => {
  const plan = new FaultPlan('worker1/call=drop,call=delay:5ms@2');
  const [first, second] = [0, 1].map((rank) => plan.for({ name: `worker${rank}`, rank }));
  expect([first?.judge(passing('call')), first?.judge(passing('call'))]).toEqual([
    new Map(),
    new Map([['delay', 5]]),
  ]);
  expect([...(second?.judge(passing('call')).keys() ?? [])]).toEqual(['drop']);
  expect(plan.injected.map(({ worker, action, nth }) => [worker, action, nth])).toEqual([
    ['worker0', 'delay', 2],
    ['worker1', 'drop', 1],
  ]);
});

test('a rule about notices looks into the message', () => {
  const faults = new FaultPlan('references.drop=drop').for(WORKER);
  expect(hits(faults, 1, passing('references', { notices: () => ['fork'] }))).toEqual([]);
  expect(hits(faults, 1, passing('references', { notices: () => ['fork', 'drop'] }))).toEqual([1]);
});

test('the same seed hits the same messages, whatever else is sent', () => {
  const text = 'call=drop:0.3';
  const some = hits(new FaultPlan(text, { seed: 5 }).for(WORKER), 200);
  const mixed = new FaultPlan(`${text},seed=5,method=drop:0.5`).for(WORKER);
  const again = Array.from({ length: 200 }, (_, index) => {
    mixed.judge(passing('method'));
    return mixed.judge(passing('call')).size > 0 ? [index + 1] : [];
  }).flat();
  expect(again).toEqual(some);
  expect(some.length).toBeGreaterThan(30);
  expect(some.length).toBeLessThan(90);
  expect(hits(new FaultPlan(text, { seed: 6 }).for(WORKER), 200)).not.toEqual(some);
  expect(hits(new FaultPlan(text, { seed: 5 }).for({ name: 'b', rank: 1 }), 200)).not.toEqual(some);
});

test('other rules can be set while it runs, and none', () => {
  const plan = new FaultPlan('call=drop*1');
  const faults = plan.for(WORKER);
  expect(hits(faults, 2)).toEqual([1]);
  plan.set('call=drop*1');
  expect(hits(faults, 2)).toEqual([1]);
  plan.heal();
  expect(hits(faults, 2)).toEqual([]);
  expect(plan.injected.length).toBe(2);
});
