/** What users install: the tarball runs from plain JavaScript, type-checks from TypeScript and holds no tests. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PROGRAM = `
import { autograd, rpc, tf } from 'gradwire';

class Model {
  constructor() {
    this.w = tf.variable(tf.scalar(2));
  }
  forward(x) {
    return tf.mul(x, this.w);
  }
  gradient(contextId) {
    return autograd.getGradients(contextId).get(this.w);
  }
}
rpc.register({ Model });

const group = { worldSize: 2, masterPort: 29701, transport: 'memory' };
const [a, b] = await Promise.all([
  rpc.init({ ...group, name: 'a', rank: 0 }),
  rpc.init({ ...group, name: 'b', rank: 1 }),
]);
await b.run(async () => {
  using model = rpc.remote('a', Model);
  await autograd.context(async (contextId) => {
    const y = await model.rpcSync().forward(tf.scalar(5));
    await autograd.backward(contextId, [y]);
    console.log((await model.rpcSync().gradient(contextId)).dataSync()[0]);
  });
});
await Promise.all([a.shutdown(), b.shutdown()]);
`;
const TYPED = `
import { autograd, isGradwireError, optim, rpc, tf } from 'gradwire';
import { init } from 'gradwire/rpc';
import { backward } from 'gradwire/autograd';
import { SGD } from 'gradwire/optim';

class Model {
  forward(x: tf.Tensor): tf.Tensor { return x; }
  parameters(): rpc.RRef<tf.Variable>[] { return []; }
}
const model: rpc.RRef<Model> = rpc.remote('a', Model);
const y: Promise<tf.Tensor> = model.rpcSync().forward(tf.scalar(1));
const optimizer = new optim.DistributedOptimizer(SGD, await model.rpcSync().parameters(), { lr: 0.1 });
await autograd.context((id) => optimizer.step(id));
// @ts-expect-error no such method
model.rpcSync().backward();
export { backward, init, isGradwireError, y };
`;

let project: string;

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'gradwire-package-'));
  const pack = ['pack', '--ignore-scripts', '--loglevel=error', '--pack-destination', project];
  execFileSync('npm', pack, { cwd: ROOT, stdio: 'ignore' });
  const tarball = readdirSync(project).find((name) => name.endsWith('.tgz')) as string;
  execFileSync('tar', ['-xzf', tarball], { cwd: project });
  // The dependencies as npm would lay them out, without asking the registry.
  const modules = join(project, 'node_modules');
  mkdirSync(modules);
  for (const name of readdirSync(join(ROOT, 'node_modules'))) {
    if (!name.startsWith('.')) symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  }
  symlinkSync(join(project, 'package'), join(modules, 'gradwire'));
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
});
afterAll(() => rmSync(project, { recursive: true, force: true }));

test('the tarball holds the library and its documents, and no tests', () => {
  const files = readdirSync(join(project, 'package'), { recursive: true }).map(String);
  expect(files).toEqual(
    expect.arrayContaining([
      'package.json',
      'LICENSE',
      'README.md',
      'dist/index.js',
      'dist/index.d.ts',
    ]),
  );
  const unwanted = /(^|\/)(test|bench|examples|node_modules)(\/|$)|\.tgz$|tsbuildinfo/;
  expect(files.filter((file) => unwanted.test(file))).toEqual([]);
});

test('it runs from plain JavaScript and exits by itself', () => {
  // Node 20 has no `using` yet.
  writeFileSync(join(project, 'program.mjs'), PROGRAM.replace('using model', 'const model'));
  const out = execFileSync(process.execPath, ['program.mjs'], {
    cwd: project,
    encoding: 'utf8',
    timeout: 20_000,
  });
  expect(out).toBe('5\n');
});

test('it type-checks from TypeScript', () => {
  writeFileSync(join(project, 'typed.ts'), TYPED);
  expect(typeErrors({ skipLibCheck: true })).toEqual([]);
  // The declarations of tfjs do not check by themselves; ours must.
  const ours = typeErrors({ skipLibCheck: false }).filter((line) => line.startsWith('package/'));
  expect(ours).toEqual([]);
});

/** The lines that the TypeScript compiler prints for typed.ts. */
function typeErrors(options: object): string[] {
  const strict = { strict: true, noEmit: true, module: 'nodenext', target: 'es2022', types: [] };
  const config = { compilerOptions: { ...strict, ...options }, files: ['typed.ts'] };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(config));
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  const { stdout } = spawnSync(process.execPath, [tsc, '-p', project], {
    cwd: project,
    encoding: 'utf8',
    timeout: 60_000,
  });
  return stdout.split('\n').filter((line) => line !== '');
}

test('the command is there', () => {
  const cli = join(project, 'package', 'dist', 'cli', 'main.js');
  const out = execFileSync(process.execPath, [cli, '--help'], { encoding: 'utf8' });
  expect(out).toMatch(/gradwire run/);
});
