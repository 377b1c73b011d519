/** What `gradwire doctor --grads` makes of findings, without any engine: results are taken from PyTorch. */
import { expect, test } from '@jest/globals';
import type { CaseFinding, Configuration, Findings } from '../../cli/doctor-process.ts';
import { jsonOf, tableOf } from '../../cli/doctor-table.ts';
import { type Verdict, verdictOf } from '../../cli/doctor-verdict.ts';
import { CASES, GOLDENS } from '../../tensor/conformance/index.ts';

const CPU: Configuration = { engine: 'cpu', threads: 1 };
const WASM: Configuration = { engine: 'wasm', threads: 1 };
const THREADED: Configuration = { engine: 'wasm', threads: 2 };

/** As if all had gone well, but for some. */
function found(of: Configuration, others: readonly CaseFinding[] = []): Findings {
  const all = CASES.map(({ name }): [string, CaseFinding] => {
    const results = [GOLDENS[name] ?? { values: [], gradients: [] }];
    return [name, { kind: 'case', name, results, difference: 1e-5 }];
  });
  return { ...of, cases: new Map([...all, ...others.map((one) => [one.name, one] as const)]) };
}

/** The case `add` with its first gradient changed. */
function off(by: number): CaseFinding {
  const { values = [], gradients = [] } = GOLDENS['add'] ?? {};
  const changed = gradients.map((gradient) => gradient.map((g, i) => (i === 0 ? g + by : g)));
  return { kind: 'case', name: 'add', results: [{ values, gradients: changed }], difference: 1e-5 };
}

function cellsOf({ rows }: Verdict, name: string): Verdict['rows'][number]['cells'] {
  return rows.find((row) => row.name === name)?.cells ?? [];
}

test('all is well', () => {
  const verdict = verdictOf(found(CPU), [found(WASM), found(THREADED)]);
  expect(verdict.isOk).toBe(true);
  expect(verdict.columns).toEqual(['wasm, 1 thread', 'wasm, 2 threads', 'differences', 'PyTorch']);
  expect(verdict.rows).toHaveLength(CASES.length);
  const text = tableOf(verdict);
  expect(text).toMatch(/^add +✓ 0 +✓ 0 +✓ 1\.0e-5 +✓ 0$/m);
  expect(text).toMatch(/^layers\.dropout +✓ 0 +✓ 0 +✓ 1\.0e-5 +– \d+$/m);
  expect(text).toMatch(/^– \d+: PyTorch has other random numbers$/m);
  expect(text).toMatch(/\n✓ \d+ cases agree\n$/);
});

test('one engine that is off shows in its column and in that of PyTorch', () => {
  const verdict = verdictOf(found(CPU), [found(WASM), found(THREADED, [off(0.01)])]);
  expect(verdict.isOk).toBe(false);
  expect(cellsOf(verdict, 'add').map(({ isOk }) => isOk)).toEqual([true, false, true, false]);
  expect(tableOf(verdict)).toContain(`\n✗ 1 of ${CASES.length} cases do not agree\n`);
});

test('a NaN is off', () => {
  const verdict = verdictOf(found(CPU), [found(WASM, [off(Number.NaN)])]);
  expect(cellsOf(verdict, 'add').map(({ isOk }) => isOk)).toEqual([false, true, false]);
});

test('so is the reference itself', () => {
  const verdict = verdictOf(found(CPU, [{ ...off(0), difference: 0.1 }]), [found(WASM)]);
  expect(cellsOf(verdict, 'add').map(({ isOk }) => isOk)).toEqual([true, false, true]);
});

test('what failed says why', () => {
  const failed: CaseFinding = { kind: 'case', name: 'add', reason: 'out of memory' };
  const verdict = verdictOf(found(CPU), [found(WASM, [failed])]);
  expect(cellsOf(verdict, 'add')[0]).toEqual({ reason: 'out of memory', isOk: false });
  const none = { ...WASM, cases: new Map(), reason: 'no WebAssembly' };
  const verdictOfNone = verdictOf(found(CPU), [none]);
  expect(verdictOfNone.isOk).toBe(false);
  expect(tableOf(verdictOfNone)).toContain('\n✗ wasm, 1 thread: no WebAssembly\n');
});

test('JSON has a line for each case and one for the whole', () => {
  const verdict = verdictOf(found(CPU), [found(WASM)]);
  const lines = jsonOf(verdict).trimEnd().split('\n');
  const objects = lines.map((line): Record<string, unknown> => JSON.parse(line));
  expect(objects).toHaveLength(CASES.length + 1);
  expect(objects[0]).toMatchObject({ case: 'abs', PyTorch: { difference: 0, isOk: true } });
  expect(objects.at(-1)).toEqual({ cases: CASES.length, wrong: 0, failures: [], isOk: true });
});
