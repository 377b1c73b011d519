/** The wasm engine with compute threads, each time in a process of its own: a process has one such engine. */
import { expect, jest, test } from '@jest/globals';
import { runModule } from '../../support/plain-process.ts';

// Each test waits for several processes.
jest.setTimeout(120_000);

const two = { GRADWIRE_THREADS: '2' };

/** A training step of a small ConvNet, its loss, and what it leaves. */
const STEP = `
  const w = tf.variable(tf.randomNormal([3, 3, 8, 16], 0, 0.1, 'float32', 7));
  const x = tf.randomNormal([16, 20, 20, 8], 0, 1, 'float32', 8);
  const step = () => tf.tidy(() => {
    const { value, grads } = tf.variableGrads(() => tf.mean(tf.square(tf.maxPool(tf.relu(tf.conv2d(x, w, 1, 'valid')), 2, 2, 'valid'))), [w]);
    w.assign(tf.sub(w, tf.mul(grads[w.name], 0.1)));
    return value.dataSync()[0];
  });
  const threads = () => process.report.getReport().workers.length;`;

test.each(['2', '5'])('%s threads: quiet, no listeners or globals, ends by itself', async (n) => {
  const source = `
    const before = Object.keys(globalThis).join();
    process.on('uncaughtException', function mine() {});
    console.log(await startEngine(), getNumThreads());
    console.log(tf.tidy(() => tf.matMul(tf.ones([64, 64]), tf.ones([64, 64])).dataSync()[5]));
    console.log(process.listeners('uncaughtException').map((f) => f.name).join(), process.listenerCount('unhandledRejection'));
    console.log(Object.keys(globalThis).join() === before, 'Worker' in globalThis);`;
  expect(await runModule(source, [], { GRADWIRE_THREADS: n })).toEqual({
    stdout: `wasm ${n}\n64\nmine 0\ntrue false\n`,
    stderr: '',
    exitCode: 0,
  });
});

test('the default is a share of the cores: none to share, no thread', async () => {
  const source = `await startEngine(); ${STEP} console.log(getNumThreads(), threads());`;
  const alone = await runModule(source, [], { LOCAL_WORLD_SIZE: '1000' });
  expect(alone).toEqual({ stdout: '1 0\n', stderr: '', exitCode: 0 });
  const told = await runModule(
    `await startEngine('wasm', 1000); ${STEP} console.log(getNumThreads(), threads());`,
  );
  expect(told.stdout).toBe('1 0\n');
});

test("the threads are there for a user's own tf.ready, and end with the engine", async () => {
  const source = `
    ${STEP.replace('const w', 'await tf.ready();\n  const w')}
    console.log(tf.getBackend(), getNumThreads(), threads());
    await tf.setBackend('cpu');
    tf.removeBackend('wasm');
    const deadline = performance.now() + 10_000;
    while (threads() > 0 && performance.now() < deadline) await new Promise(setImmediate);
    console.log(tf.getBackend(), getNumThreads(), threads());`;
  expect(await runModule(source, [], two)).toEqual({
    stdout: 'wasm 2 1\ncpu 1 0\n',
    stderr: '',
    exitCode: 0,
  });
});

test('steps are the same with one, two and three threads, and memory stays where it is', async () => {
  const source = `
    await startEngine();
    ${STEP}
    const losses = [];
    const run = (n) => { for (let i = 0; i < n; i++) losses.push(step()); };
    const memory = () => [tf.memory().numTensors, tf.memory().numBytes, tf.engine().backend.wasm.HEAPU8.length].join();
    run(20);
    const early = memory();
    run(100);
    console.log(losses.join(' '));
    console.log(early === memory());
    // The heap grows, and what lay in it stays.
    const big = tf.ones([4, 1024, 1024]);
    console.log(tf.tidy(() => tf.sum(tf.matMul(big, big, true)).dataSync()[0]), w.dataSync().every(Number.isFinite));`;
  const [one, twice, thrice] = await Promise.all(
    ['1', '2', '3'].map((GRADWIRE_THREADS) => runModule(source, [], { GRADWIRE_THREADS })),
  );
  expect(one?.stdout).toMatch(/^[\d. e-]+\ntrue\n4294967296 true\n$/);
  expect([twice, thrice]).toEqual([one, one]);
});

test('where no thread can be had: one, with a line; an error if threads were asked for', async () => {
  const broken = `data:text/javascript,${encodeURIComponent(`
    import { syncBuiltinESMExports } from 'node:module';
    import threads from 'node:worker_threads';
    threads.Worker = class { constructor() { throw new Error('no threads here'); } };
    syncBuiltinESMExports();`)}`;
  const flags = ['--import', broken];
  const asked = await runModule(
    `await startEngine('wasm').catch((error) => console.log(error.code, error.message));`,
    flags,
    two,
  );
  expect(asked).toEqual({
    stdout: expect.stringMatching(/^engine_unavailable .*no threads here\n$/),
    stderr: '',
    exitCode: 0,
  });
  const fallen = await runModule(
    `import os from 'node:os'; console.log(await startEngine('wasm'), getNumThreads());`,
    [...flags, '--import', cores(4)],
  );
  expect(fallen).toEqual({
    stdout: 'wasm 1\n',
    stderr: 'gradwire: computing with one thread: no threads here\n',
    exitCode: 0,
  });
});

test('a number of threads that makes no sense is refused before anything starts', async () => {
  const source = `await startEngine().catch((error) => console.log(error.code, tf.getBackend()));`;
  expect(await runModule(source, [], { GRADWIRE_THREADS: '0' })).toEqual({
    stdout: 'invalid_argument undefined\n',
    stderr: '',
    exitCode: 0,
  });
});

/** A module that makes the host have this many cores. */
function cores(count: number): string {
  return `data:text/javascript,${encodeURIComponent(`
    import { syncBuiltinESMExports } from 'node:module';
    import os from 'node:os';
    os.availableParallelism = () => ${count};
    syncBuiltinESMExports();`)}`;
}
