/** Messages of passes that come late, twice, or that nobody could rightly send. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { shareOf } from '../../autograd/plugin.ts';
import { autograd, tf } from '../../index.ts';
import type { MessageKind } from '../../rpc/message.ts';
import type { WorkerNode } from '../../rpc/worker.ts';
import { referenceGradients } from '../support/gradients.ts';
import { randomVariable } from '../support/numbers.ts';
import { until } from '../support/until.ts';
import {
  at,
  clean,
  contextCount,
  expectGradients,
  gradientCount,
  passCount,
  startTeam,
  type Team,
} from './support.ts';

type ContextId = autograd.ContextId;

let team: Team;
let a: tf.Variable;
let b: tf.Variable;
beforeEach(async () => {
  team = await startTeam(3, 'memory');
  a = randomVariable([3], 1);
  b = randomVariable([3], 2);
});
afterEach(async () => {
  tf.dispose([a, b]);
  await Promise.all(team.workers.map((worker) => worker.shutdown({ graceful: false })));
});

const worker = (rank: number): WorkerNode => team.workers[rank] as WorkerNode;
const inContext = (fn: (id: ContextId) => Promise<void>): Promise<void> =>
  team.as(0, () => autograd.context(fn));
/** w0, which w1 has answered, sends to w1 whatever it likes. */
const send = (kind: MessageKind, head: unknown, body: unknown = null): Promise<unknown> =>
  autograd.noGrad(() =>
    worker(0).endpoint.request({
      peer: 1,
      kind,
      head,
      body,
      bodyName: 'body',
      what: kind,
      timeoutMs: 5_000,
    }),
  );
const startOf = (id: string) => ({
  id,
  initiator: 0,
  retainGraph: false,
  timeoutMs: 5_000,
  detectAnomaly: false,
});
const far = (): Promise<tf.Tensor> => at(1, (y: tf.Tensor) => tf.mul(y, b), tf.square(a));
const here = (): tf.Tensor => tf.sum(tf.mul(tf.square(a), b));

test('marks and gradients of what is unknown or over are refused', () =>
  clean(team, async () => {
    let over = '' as ContextId;
    await inContext(async (id) => {
      over = id;
      await far();
      const refused = async (head: unknown[], code: string): Promise<void> => {
        await expect(send('mark', head)).rejects.toMatchObject({ code });
      };
      await refused(['9.1', startOf('0.p'), 'm', '1.1', [0]], 'unknown_context');
      await refused([id, startOf('0.p'), 'm', '1.99', [0]], 'protocol_error');
      await refused([id, startOf('0.p'), 'm', '1.1', [5]], 'protocol_error');
      const stray = send('gradient', [id, '0.p', 'm'], [tf.ones([3])]);
      await expect(stray).rejects.toMatchObject({ code: 'protocol_error' });
      const finish = send('finish', [id, '0.p', 'visible']);
      await expect(finish).rejects.toMatchObject({ code: 'protocol_error' });
      await send('finish', [id, '0.p', 'dropped']);
      expect(passCount(worker(1), id)).toBe(0);
    });
    await until(() => contextCount(worker(1)) === 0);
    const late = send('mark', [over, startOf('0.p'), 'm', '1.1', [0]]);
    await expect(late).rejects.toMatchObject({ code: 'context_released' });
    await send('finish', [over, '0.p', 'dropped']);
  }));

test.each<[string, (dy: tf.Tensor) => unknown, string]>([
  ['another shape', () => [tf.ones([4])], 'cannot be'],
  ['another type', (dy) => [tf.cast(dy, 'int32')], 'cannot be'],
  ['another number of them', (dy) => [dy, dy], 'nobody waits'],
  ['no list', () => null, 'gradients that are none'],
])('gradients that do not fit end the pass: %s', (_, body, text) =>
  clean(team, () =>
    inContext(async (id) => {
      const reports: unknown[] = [];
      await far();
      worker(0).endpoint.handle('passDone', ({ head }) => {
        reports.push(head);
      });
      await send('mark', [id, startOf('0.p'), 'm', '1.1', [0]]);
      expect(passCount(worker(1), id)).toBe(1);
      await send('gradient', [id, '0.p', 'm'], body(tf.ones([3])));
      await until(() => reports.length === 1);
      expect(JSON.stringify(reports)).toContain(text);
      await send('finish', [id, '0.p', 'dropped']);
      expect([passCount(worker(1), id), gradientCount(team, 1, id)]).toEqual([0, 0]);
    }),
  ),
);

test('a gradient that comes twice ends the pass; one that comes after its end is let go', () =>
  clean(team, () =>
    inContext(async (id) => {
      const reports: unknown[][] = [];
      await far();
      worker(0).endpoint.handle('passDone', ({ head }) => {
        reports.push(head as unknown[]);
      });
      await send('mark', [id, startOf('0.p'), 'm', '1.1', [0]]);
      await Promise.all([1, 2].map(() => send('gradient', [id, '0.p', 'm'], [tf.ones([3])])));
      await until(() => reports.length > 0 && reports.some(([, failure]) => failure !== null));
      await send('finish', [id, '0.p', 'dropped']);

      await send('mark', [id, startOf('0.q'), 'm', '1.1', [0]]);
      const paid = send('gradient', [id, '0.q', 'm'], [tf.ones([3])]);
      const dropped = send('finish', [id, '0.q', 'dropped']);
      await Promise.allSettled([paid, dropped]);
      expect([passCount(worker(1), id), gradientCount(team, 1, id)]).toEqual([0, 0]);
    }),
  ));

test('only the worker that brought a context here can end it here', () =>
  clean(team, () =>
    inContext(async (id) => {
      const loss = tf.sum(await far());
      shareOf(worker(2))?.contexts.releases.tell(1, id);
      shareOf(worker(1))?.contexts.releases.tell(0, id);
      await team.as(2, () => autograd.noGrad(() => at(1, () => at(0, () => 1))));
      expect([contextCount(worker(0)), contextCount(worker(1))]).toEqual([1, 1]);
      await autograd.backward(id, [loss]);
      expectGradients(team, id, referenceGradients(here, [a, b]));
    }),
  ));

test('done reports of nobody and of no pass are ignored', () =>
  clean(team, () =>
    inContext(async (id) => {
      worker(2).endpoint.notify(0, 'passDone', ['none', null]);
      worker(2).endpoint.notify(0, 'passDone', ['0.0', null]);
      await autograd.backward(id, [tf.sum(await far())]);
      expectGradients(team, id, referenceGradients(here, [a, b]));
    }),
  ));

test('a worker that fails while gradients become visible: the context is over for all', () =>
  clean(team, () =>
    inContext(async (id) => {
      const third = await at(2, (y: tf.Tensor) => tf.mul(y, a), await far());
      const loss = tf.sum(third);
      worker(2).endpoint.handle('finish', () => {
        throw new Error('no room');
      });
      await expect(autograd.backward(id, [loss])).rejects.toMatchObject({
        code: 'backward_failed',
        peer: 'w2',
      });
      expect(() => autograd.getGradients(id)).toThrow(
        expect.objectContaining({ code: 'context_released' }),
      );
      await until(() => team.workers.every((one) => contextCount(one) === 0));
    }),
  ));

test('of its own contexts a worker never forgets that they are over', () =>
  clean(team, () => {
    const contexts = shareOf(worker(0))?.contexts;
    const first = contexts?.create().id as ContextId;
    contexts?.release(first);
    for (let i = 0; i < 10_001; i++) contexts?.release(contexts.create().id);
    const over = expect.objectContaining({ code: 'context_released' });
    expect(() => contexts?.get(first)).toThrow(over);
    expect(() => contexts?.join(first, 1)).toThrow(over);
    expect(() => contexts?.get('0.99999' as ContextId)).toThrow(
      expect.objectContaining({ code: 'unknown_context' }),
    );
  }));
