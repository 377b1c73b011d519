/** Modules on other workers: how they are made, called, shared, refused and let go of. */
import { describe, expect, test } from '@jest/globals';
import { autograd, isGradwireError, optim, rpc, tf } from '../../index.ts';
import { type Cluster, startCluster, TRANSPORTS } from '../support/cluster.ts';
import {
  MyModule,
  makeNumber,
  NoModule,
  Plain,
  Referring,
  useModule,
  useReference,
} from './modules.ts';

describe.each(TRANSPORTS)('over %s', (transport) => {
  const start = (workers = 2): Promise<Cluster> => startCluster({ workers, transport });
  const as0 = <R>(cluster: Cluster, fn: () => R): R => cluster.at(0).run(fn);

  test('test_bad_module: what was made is named', async () => {
    await using cluster = await start();
    await as0(cluster, async () => {
      for (const [make, what] of [
        [NoModule, 'NoModule'],
        [makeNumber, 'number'],
      ] as const) {
        using module = new autograd.RemoteModule(
          'worker1',
          make as unknown as typeof MyModule,
          [1],
        );
        const x = tf.tensor1d([1, 1]);
        for (const use of [
          () => module.forward(x, 1),
          () => module.forwardAsync(x, 1),
          () => module.remoteParameters(),
          () => module.train(),
        ]) {
          const error = await Promise.resolve(use()).catch((thrown: unknown) => thrown);
          expect(isGradwireError(error, 'invalid_argument')).toBe(true);
        }
        await expect(module.forward(x, 1)).rejects.toThrow(
          `worker1: expected an object of a registered class with forward() and parameters(), got ${what}`,
        );
        x.dispose();
      }
    });
  });

  test('test_forward_sync: the value, by position and by default', async () => {
    await using cluster = await start();
    await as0(cluster, async () => {
      using module = new autograd.RemoteModule('worker1', MyModule, [2, 3]);
      const x = tf.tensor1d([1, 10]);
      const { y, word } = await module.forward(x, 2, 'here');
      expect([...y.dataSync(), word]).toEqual([4, 60, 'here']);
      const other = await module.forward(x, 1);
      expect([...other.y.dataSync(), other.word]).toEqual([2, 30, 'default']);
      tf.dispose([x, y, other.y]);
    });
  });

  test('test_forward_async: a future whose value is the output', async () => {
    await using cluster = await start();
    await as0(cluster, async () => {
      using module = new autograd.RemoteModule('worker1/cpu', MyModule, [2]);
      const x = tf.tensor1d([1, 10]);
      const future = module.forwardAsync(x, 5, 'later');
      expect(future).toBeInstanceOf(rpc.RpcFuture);
      await future;
      const { y, word } = future.value();
      expect([...y.dataSync(), word]).toEqual([10, 0, 'later']);
      tf.dispose([x, y]);
    });
  });

  test('test_remote_parameters: one reference for each, with the right value', async () => {
    await using cluster = await start();
    await as0(cluster, async () => {
      using module = new autograd.RemoteModule('rank:1', MyModule, [7, 8]);
      const references = await module.remoteParameters();
      expect(references).toHaveLength(1);
      for (const reference of references) {
        expect(reference).toBeInstanceOf(rpc.RRef);
        expect(reference.ownerName()).toBe('worker1');
        const value = await reference.toHere();
        expect([...value.dataSync()]).toEqual([7, 8]);
        value.dispose();
        reference.dispose();
      }
    });
  });

  test('test_get_module_rref: the one inside, whose object has the parameter', async () => {
    await using cluster = await start();
    await as0(cluster, async () => {
      using module = new autograd.RemoteModule(1, MyModule, [7]);
      const rref = module.getModuleRRef();
      expect(rref).toBe(module.getModuleRRef());
      expect(rref.ownerName()).toBe('worker1');
      expect(await rref.getType()).toBe('MyModule');
      expect(await rref.rpcSync().isTraining()).toBe(true);
    });
  });

  test('test_unsupported_methods: each is refused with what to use instead', async () => {
    await using cluster = await start();
    await as0(cluster, () => {
      using module = new autograd.RemoteModule('worker1', MyModule, [1]);
      const methods = module as unknown as Record<string, () => unknown>;
      const names =
        'registerBuffer registerParameter addModule apply cuda ipu xpu cpu type float double half bfloat16 to ' +
        'registerBackwardHook registerForwardPreHook registerForwardHook stateDict loadStateDict parameters ' +
        'namedParameters buffers namedBuffers children namedChildren modules namedModules requiresGrad zeroGrad ' +
        'shareMemory extraRepr';
      for (const name of names.split(' ')) {
        expect(() => methods[name]?.()).toThrow(`a RemoteModule has no ${name}(): `);
      }
      expect(() => methods['parameters']?.()).toThrow('remoteParameters()');
      // @ts-expect-error it is no method
      expect(() => module.parameters()).toThrow('unknown_method');
    });
  });

  test('test_send_remote_module_over_the_wire: a third worker runs it, and gets no other field', async () => {
    await using cluster = await start(3);
    await as0(cluster, async () => {
      using module = new autograd.RemoteModule('worker1', MyModule, [2, 3]);
      Object.assign(module, { mine: 'stays here' });
      const x = tf.tensor1d([1, 10]);
      const results = await rpc.rpcSync('worker2', useModule, [module, x]);
      expect(results.map((y) => [...y.dataSync()])).toEqual([
        [4, 60],
        [6, 90],
      ]);
      tf.dispose([x, ...results]);
    });
  });

  test('test_create_remote_module_from_module_rref: both share the module', async () => {
    await using cluster = await start(3);
    await as0(cluster, async () => {
      using module = new autograd.RemoteModule('worker1', MyModule, [2, 3]);
      const x = tf.tensor1d([1, 10]);
      const there = await rpc.rpcSync('worker2', useReference, [module.getModuleRRef(), x]);
      const { y: here } = await module.forward(x, 2);
      expect([...there.dataSync()]).toEqual([...here.dataSync()]);
      expect(() =>
        autograd.RemoteModule.initFromModuleRRef('worker2', module.getModuleRRef()),
      ).toThrow('the module lives on worker1');
      tf.dispose([x, there, here]);
    });
  });

  test('gradients reach the module, and a DistributedOptimizer updates it', async () => {
    await using cluster = await start();
    await as0(cluster, async () => {
      using module = new autograd.RemoteModule('worker1', MyModule, [2, 3]);
      const parameters = await module.remoteParameters();
      using optimizer = new optim.DistributedOptimizer(optim.SGD, parameters, { lr: 0.5 });
      await autograd.context(async (id) => {
        const { y } = await module.forward(tf.tensor1d([1, 10]), 2);
        await autograd.backward(id, [tf.sum(y)]);
        await optimizer.step(id);
      });
      const value = await parameters[0]?.toHere();
      expect([...(value?.dataSync() ?? [])]).toEqual([1, -7]);
      tf.dispose(value ?? []);
      for (const parameter of parameters) parameter.dispose();
    });
  });

  test('one that is made inside a context outlives it', async () => {
    await using cluster = await start();
    await as0(cluster, async () => {
      using module = await autograd.context(
        () => new autograd.RemoteModule('worker1', MyModule, [2]),
      );
      const x = tf.tensor1d([1, 1]);
      const { y } = await module.forward(x, 1);
      expect([...y.dataSync()]).toEqual([2, 0]);
      tf.dispose([x, y]);
    });
  });

  test('modes, and what a module throws', async () => {
    await using cluster = await start();
    await as0(cluster, async () => {
      using module = new autograd.RemoteModule('worker1', MyModule, [2]);
      await module.eval();
      expect(await module.getModuleRRef().rpcSync().isTraining()).toBe(false);
      await module.train();
      expect(await module.getModuleRRef().rpcSync().isTraining()).toBe(true);
      await module.train(false);
      expect(await module.getModuleRRef().rpcSync().isTraining()).toBe(false);
      using plain = new autograd.RemoteModule('worker1', Plain);
      await expect(plain.forward()).rejects.toThrow('TypeError: no good');
      await expect(plain.train()).rejects.toThrow('Plain has no remote method train');
      expect(await plain.remoteParameters()).toEqual([]);
      await expect(
        rpc.waitAll(() => {
          void plain.forwardAsync();
        }),
      ).rejects.toThrow('no good');
      using referring = new autograd.RemoteModule('worker1', Referring);
      await expect(referring.remoteParameters()).rejects.toThrow('must give tf.Variables');
      expect(await referring.forward()).toBe(1);
    });
  });

  test('after dispose nothing is left, and its use says so', async () => {
    await using cluster = await start();
    await as0(cluster, async () => {
      const before = tf.memory().numTensors;
      const module = new autograd.RemoteModule('worker1', MyModule, [2]);
      await module.train();
      expect(tf.memory().numTensors).toBe(before + 1);
      module.dispose();
      module.dispose();
      await expect(module.train()).rejects.toThrow('rref_disposed');
      await cluster.unreferenced();
      expect(tf.memory().numTensors).toBe(before);
    });
  });
});

test('devices that are none, and workers that are none', async () => {
  await using cluster = await startCluster({ transport: 'memory' });
  cluster.at(0).run(() => {
    for (const device of ['worker1/cuda:0', 'worker1/cpu/0']) {
      expect(() => new autograd.RemoteModule(device, MyModule, [1])).toThrow('no other device');
    }
    for (const device of ['nobody', 'rank:7', '/cpu']) {
      expect(() => new autograd.RemoteModule(device, MyModule, [1])).toThrow('unknown_worker');
    }
  });
});
