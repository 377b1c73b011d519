/** Engines as guests of a process: what starting one prints, leaves behind and refuses, each in a process of its own. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, jest, test } from '@jest/globals';
import { startEngine, tf } from '../../tensor/index.ts';
import { runModule } from '../support/plain-process.ts';

// Each test waits for processes.
jest.setTimeout(120_000);

const COMPUTE = `console.log(tf.getBackend(), tf.tidy(() => tf.matMul([[1, 2]], [[3], [4]]).dataSync()[0]));`;

test('wasm is the default; it is quiet, adds no listeners and lets the process end', async () => {
  const source = `
    process.on('uncaughtException', function mine() {});
    console.log(await startEngine(), await startEngine(), await startEngine('wasm'));
    ${COMPUTE}
    console.log(process.listeners('uncaughtException').map((f) => f.name).join());
    console.log(process.listenerCount('unhandledRejection'));`;
  expect(await runModule(source)).toEqual({
    stdout: 'wasm wasm wasm\nwasm 11\nmine\n0\n',
    stderr: '',
    exitCode: 0,
  });
});

test('gradients are repaired in a plain process too, whatever registers them later', async () => {
  const source = `
    await startEngine();
    const b = tf.tensor1d([1, 2]);
    const sums = () => tf.tidy(() => tf.grads((x, y) => tf.sum(tf.maximum(x, y)))([tf.zeros([3, 2]), b])[1].dataSync().join());
    console.log(sums());
    const maximum = tf.getGradient('Maximum');
    tf.unregisterGradient('Maximum');
    tf.registerGradient({ ...maximum, gradFunc: () => ({}) });
    await startEngine();
    console.log(sums());`;
  expect(await runModule(source)).toMatchObject({ stdout: '3,3\n3,3\n', stderr: '' });
});

test("a user's own tf.ready, setBackend and removeBackend leave listeners as they were", async () => {
  const source = `
    process.on('unhandledRejection', function mine() {});
    const names = () => ['uncaughtException', 'unhandledRejection'].map((event) => process.listeners(event).map((f) => f.name).join());
    await tf.ready(); console.log(tf.getBackend(), names());
    await tf.setBackend('cpu'); console.log(await startEngine(), names());
    tf.removeBackend('wasm'); console.log(names());
    ${COMPUTE}`;
  expect(await runModule(source)).toEqual({
    stdout: "wasm [ '', 'mine' ]\ncpu [ '', 'mine' ]\n[ '', 'mine' ]\ncpu 11\n",
    stderr: '',
    exitCode: 0,
  });
});

test('GRADWIRE_ENGINE chooses, and an argument overrides it', async () => {
  const source = `console.log(await startEngine()); console.log(await startEngine('wasm'));${COMPUTE}`;
  expect(await runModule(source, [], { GRADWIRE_ENGINE: 'cpu' })).toEqual({
    stdout: 'cpu\nwasm\nwasm 11\n',
    stderr: '',
    exitCode: 0,
  });
  const unknown = await runModule(
    `await startEngine().catch((error) => console.log(error.code));`,
    [],
    {
      GRADWIRE_ENGINE: 'abacus',
    },
  );
  expect(unknown.stdout).toBe('invalid_argument\n');
});

test('without WebAssembly: cpu with one line on stderr, or an error if wasm was demanded', async () => {
  // Not --no-expose-wasm: Node 24 itself needs it to load modules.
  const flags = ['--import', 'data:text/javascript,delete globalThis.WebAssembly'];
  const fallen = await runModule(`console.log(await startEngine());${COMPUTE}`, flags);
  expect(fallen.stdout).toBe('cpu\ncpu 11\n');
  expect(fallen.stderr).toMatch(/^gradwire: computing on the slow engine cpu: .*\n$/);
  const demanded = await runModule(
    `await startEngine('wasm').catch((error) => console.log(error.code));`,
    flags,
  );
  expect(demanded).toEqual({ stdout: 'engine_unavailable\n', stderr: '', exitCode: 0 });
});

test('another version of tfjs-core in the process is refused, naming both', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gradwire-'));
  const root = join(folder, 'node_modules', '@tensorflow', 'tfjs-core');
  await mkdir(join(root, 'dist'), { recursive: true });
  await writeFile(join(root, 'package.json'), JSON.stringify({ version: '3.21.0' }));
  await writeFile(join(root, 'dist', 'tf-core.node.js'), 'exports.version_core = "3.21.0";');
  const file = pathToFileURL(join(root, 'dist', 'tf-core.node.js')).href;
  const { stdout } = await runModule(`
    await import(${JSON.stringify(file)});
    await startEngine().catch((error) => console.log(error.code, error.message));`);
  await rm(folder, { recursive: true });
  expect(stdout).toMatch(/^engine_unavailable .*4\.22\.0.*3\.21\.0.*\n$/);
});

test('starts that overlap all succeed, and the last decides', async () => {
  const started = await Promise.all([startEngine('cpu'), startEngine('wasm'), startEngine('cpu')]);
  expect(started).toEqual(['cpu', 'wasm', 'cpu']);
  expect(tf.getBackend()).toBe('cpu');
  expect(await startEngine('wasm')).toBe('wasm');
});
