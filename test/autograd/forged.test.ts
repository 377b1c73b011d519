/**
 * T8: a member speaks for itself alone. For every kind of message, what a member that lies could say of another's objects,
 * copies, contexts, passes, calls and meetings, and that it changes nothing for those who are honest.
 */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { shareOf } from '../../autograd/plugin.ts';
import { autograd, rpc, tf } from '../../index.ts';
import type { MessageKind } from '../../rpc/message.ts';
import type { WorkerNode } from '../../rpc/worker.ts';
import { freePort } from '../support/cluster.ts';
import { Liar, MadeUpReference } from '../support/liar.ts';
import { until } from '../support/until.ts';

class Counter {
  #count = 0;
  add(n: number): number {
    this.#count += n;
    return this.#count;
  }
}
let release: () => void = () => {};
/** Answers when the test says so. */
function slow(): Promise<string> {
  return new Promise((resolve) => {
    release = () => resolve('done');
  });
}
async function* numbers(): AsyncGenerator<number> {
  for (let i = 0; i < 5; i++) yield i;
}
const double = (x: tf.Tensor): tf.Tensor => tf.mul(x, 2);
rpc.register({ Counter, slow, numbers, double });

/** What the honest worker 1 does with worker 0 while worker 2 lies to worker 0. */
interface Scene {
  readonly liar: Liar;
  readonly owner: WorkerNode;
  readonly honest: WorkerNode;
  readonly counter: rpc.RRef<Counter>;
  /** Name of the object of `counter`, and of the honest worker's copy. */
  readonly object: string;
  readonly copy: string;
  /** The honest worker's context; worker 0 has a share of it. */
  readonly context: string;
}

let scene: Scene;
let endContext: () => void;
let over: Promise<unknown>;

beforeEach(async () => {
  const transport = new rpc.MemoryTransport();
  const masterPort = await freePort();
  const group = {
    ...{ transport, masterPort, token: 'secret' },
    worldSize: 3,
    engine: 'cpu',
  } as const;
  const [owner, honest, liar] = await Promise.all([
    rpc.init({ ...group, name: 'w0', rank: 0 }) as Promise<WorkerNode>,
    rpc.init({ ...group, name: 'w1', rank: 1 }) as Promise<WorkerNode>,
    Liar.join(transport, { name: 'w2', rank: 2, worldSize: 3, masterPort }),
  ]);
  const counter = honest.remote('w0', Counter);
  expect(await counter.rpcSync().add(1)).toBe(1);
  const [object] = /\d+\.\d+/.exec(String(counter)) as unknown as [string];
  // Ids are given in order: the object's, then its first copy's.
  const copy = object.replace(/\d+$/, (n) => String(Number(n) + 1));
  const opened = new Promise<string>((resolve) => {
    over = honest.run(() =>
      autograd.context(async (id) => {
        const x = tf.variable(tf.tensor1d([1, 2]));
        const y = await honest.rpcSync('w0', double, [x]);
        resolve(id);
        await new Promise<void>((end) => {
          endContext = end;
        });
        await autograd.backward(id, [tf.sum(y)]);
        const gradient = autograd.getGradients(id).get(x) as tf.Tensor;
        expect([...(await gradient.data())]).toEqual([2, 2]);
        x.dispose();
      }),
    );
  });
  scene = { liar, owner, honest, counter, object, copy, context: await opened };
});

afterEach(async () => {
  const { liar, owner, honest, counter } = scene;
  endContext();
  await over;
  // The object is there, and nobody has touched it.
  expect(await counter.rpcSync().add(1)).toBe(2);
  counter.dispose();
  await until(() => owner.references.ownedCount === 0);
  expect(shareOf(owner)?.contexts.size).toBe(0);
  await liar.close();
  await Promise.all([owner, honest].map((worker) => worker.shutdown({ timeoutMs: 5_000 })));
});

const refused = (answer: string, code = 'protocol_error'): void => {
  expect(answer).toMatch(new RegExp(`^failure.*"code":"${code}"|^failure.*${code}`));
};
/** The name that worker 0 gave to the message in which it answered in the context. */
const ANSWER = '0.1';
const passOf = (initiator: number, id = `${initiator}.0`) => ({
  ...{ id, initiator, retainGraph: false },
  timeoutMs: 30_000,
});

/** For each kind what is tried, or why it names nothing of another's. */
const LIES: Readonly<Record<MessageKind, string | (() => Promise<void>)>> = {
  call: async () => {
    const { liar, context, object } = scene;
    // A message of another's name would send its gradients here.
    const meta = { timeoutMs: 5_000, autograd: [context, '1.1', [0]] };
    refused(await liar.ask('call', ['double'], { body: [tf.scalar(1)], meta }));
    // Copies that others have made.
    for (const fork of ['1.777', '0.777', scene.copy]) {
      const body = [new MadeUpReference(object, fork, 0)];
      refused(await liar.ask('call', ['double'], { body }));
    }
  },
  method: async () => {
    // Whoever is a member may call any object; that a copy is held for it it may not say.
    const body = [new MadeUpReference(scene.object, scene.copy, 0)];
    refused(await scene.liar.ask('method', [scene.object, 'add'], { body }));
  },
  remote: async () => {
    const { liar, object, copy } = scene;
    for (const [id, fork] of [
      [object, copy],
      [object, '2.9'],
      ['1.999', '2.9'],
      ['2.9', '1.999'],
      ['0.999', '0.998'],
    ]) {
      refused(await liar.ask('remote', [id, fork, 'Counter'], { body: [] }));
    }
  },
  fetch: 'reads the object that it names, which every member may',
  type: 'reads the object that it names, which every member may',
  cancel: async () => {
    const { liar, honest } = scene;
    const answer = honest.rpcSync('w0', slow);
    await until(() => scene.owner.endpoint.runningCount > 0);
    for (let id = 1; id < 40; id++) liar.tell({ kind: 'cancel', id });
    await liar.heard();
    release();
    expect(await answer).toBe('done');
  },
  streamCredit: async () => {
    const { liar, honest } = scene;
    const stream = honest.rpcStream('w0', numbers, [], { windowItems: 1 });
    const items: number[] = [];
    for await (const item of stream) {
      for (let id = 1; id < 40; id++) liar.tell({ kind: 'streamCredit', id });
      items.push(item as number);
    }
    expect(items).toEqual([0, 1, 2, 3, 4]);
  },
  references: async () => {
    const { liar, object, copy, owner } = scene;
    const kinds = { fork: 0, drop: 1, confirm: 2, refuse: 3 };
    let first = 1;
    for (const kind of Object.values(kinds)) {
      for (const fork of [copy, '0.1', '1.777']) {
        const head = [first++, 0, kind, object, fork];
        liar.tell({ kind: 'references', id: 0, head });
      }
    }
    await liar.heard();
    const { numOwnerRrefs, numForks } = owner.references.debugInfo();
    // The copy of the honest worker, and no other: what the liar held itself it has dropped.
    expect([numOwnerRrefs, numForks]).toEqual([1, 1]);
  },
  barrier: async () => {
    const { liar, owner, honest } = scene;
    const met = Promise.all([owner, honest].map((worker) => worker.barrier(['w0', 'w1'])));
    const tags = [0, 1].map((rank) => owner.members.tagOf(rank)).join(',');
    refused(await liar.ask('barrier', [`${tags}#1`, [0, 1], false, true]));
    liar.tell({ kind: 'barrier', id: 900, head: [`${tags}#2`, [0, 1, 2], false, false] });
    await met;
    await Promise.all([owner, honest].map((worker) => worker.barrier(['w0', 'w1'])));
  },
  gather: async () => {
    const { liar, owner, honest } = scene;
    const tags = [0, 1].map((rank) => owner.members.tagOf(rank)).join(',');
    const key = `gather ${tags}#1`;
    refused(await liar.ask('gather', [key, [0, 1], 5_000], { body: ['mine'] }));
    liar.tell({ kind: 'gather', id: 901, head: [key, [0, 1, 2], 300], body: ['mine'] });
    const [values] = await Promise.all(
      [owner, honest].map((worker) => worker.allGather(worker.info.name, ['w0', 'w1'])),
    );
    expect([...(values ?? [])]).toEqual([
      ['w0', 'w0'],
      ['w1', 'w1'],
    ]);
  },
  join: 'says of its sender alone that it is ready; the rank is the session’s',
  leave: 'says of its sender alone that it leaves; the rank is the session’s',
  view: async () => {
    const seats = [[1, 'w9', 9, 'x', 'y']];
    scene.liar.tell({ kind: 'view', id: 0, head: [1, seats, [1], []] });
    await scene.liar.heard();
    expect(scene.owner.getWorkerInfos().map(({ name }) => name)).toEqual(['w0', 'w1', 'w2']);
  },
  mark: async () => {
    const { liar, context } = scene;
    refused(await liar.ask('mark', [context, passOf(2), 'm', ANSWER, [0]]));
    refused(await liar.ask('mark', [context, passOf(1), 'm', ANSWER, [0]]));
    refused(await liar.ask('mark', ['1.0.guess', passOf(2), 'm', ANSWER, [0]]), 'unknown_context');
  },
  gradient: async () => {
    const { liar, context } = scene;
    const body = [tf.ones([2])];
    refused(await liar.ask('gradient', [context, '1.0', `${ANSWER}/0`], { body }));
    refused(await liar.ask('gradient', [context, '2.0', `${ANSWER}/0`], { body }));
  },
  backward: 'needs the id of a context, which is not to be guessed',
  passDone: async () => {
    const { liar, owner } = scene;
    await owner.run(() =>
      autograd.context(async (id) => {
        const x = tf.variable(tf.scalar(3));
        const y = await owner.rpcSync('w1', double, [x]);
        const done = autograd.backward(id, [y]);
        for (let n = 0; n < 5; n++) {
          liar.tell({ kind: 'passDone', id: 0, head: [`0.${n}`, { code: 'remote_error' }] });
        }
        await done;
        expect((await autograd.getGradients(id).get(x)?.data())?.[0]).toBe(2);
        x.dispose();
      }),
    );
  },
  finish: async () => {
    const { liar, context, owner } = scene;
    for (const pass of ['1.0', '2.0']) {
      for (const outcome of ['dropped', 'broken', 'visible']) {
        await liar.ask('finish', [context, pass, outcome]);
      }
    }
    expect(shareOf(owner)?.contexts.size).toBe(1);
  },
  release: async () => {
    const { liar, context, owner } = scene;
    // Also of one that has not come yet: what another brings still may.
    liar.tell({ kind: 'release', id: 0, head: [1, 0, context, '1.1', '0.0', '1.1.guess'] });
    liar.tell({ kind: 'release', id: 0, head: [5, 9] });
    await liar.heard();
    expect(shareOf(owner)?.contexts.size).toBe(1);
  },
  reply: async () => answering('reply'),
  failure: async () => answering('failure'),
  streamItem: async () => answering('streamItem'),
  credit: 'of the connection itself',
  offer: 'of the connection itself',
  grant: 'of the connection itself',
  goodbye: 'of the connection itself',
  decline: 'of the connection itself',
  fenced: 'of the connection itself',
};

/** Answers to what worker 0 asked the honest worker. */
async function answering(kind: 'reply' | 'failure' | 'streamItem'): Promise<void> {
  const { liar, owner } = scene;
  const answer = owner.rpcSync('w1', slow);
  await until(() => scene.honest.endpoint.runningCount > 0);
  for (let id = 1; id < 40; id++) liar.tell({ kind, id, body: 'forged' });
  await liar.heard();
  release();
  expect(await answer).toBe('done');
}

const tried = Object.entries(LIES).filter(([, lie]) => typeof lie !== 'string');

test.each(tried)('T8: %s', async (_, lie) => {
  if (typeof lie !== 'string') await lie();
});
