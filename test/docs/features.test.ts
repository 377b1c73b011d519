/** FEATURES.md against what the package exports: no name is left out, and none is promised that is not there. */
import { expect, test } from '@jest/globals';
import * as gradwire from '../../index.ts';
import { WorkerNode } from '../../rpc/worker.ts';
import * as testing from '../../testing/index.ts';
import { codeSpans, readText, tableRows } from '../support/documents.ts';

const STATE = /^(yes|later|(part|no): \S.*)$/;
const NAMED = /^(rpc|autograd|optim|testing)\.(\w+)(?:#(\w+))?$/;

const rows = tableRows(readText('FEATURES.md'));

/** Names that an index file exports, types included: the built module no longer has those. */
function exportedNames(path: string): string[] {
  const lists = readText(path).matchAll(/export (?:type )?\{([^}]*)\}/g);
  return [...lists].flatMap(([, list]) =>
    (list as string)
      .split(',')
      .map((name) => name.replace(/^\s*type\s/, '').trim())
      .filter((name) => name !== ''),
  );
}

test('each row has three cells and a state', () => {
  for (const row of rows)
    expect([row.length, STATE.test(row[2] ?? ''), row]).toEqual([3, true, row]);
});

test.each(['rpc', 'autograd', 'optim', 'testing'])(
  'every name that %s exports has a row',
  (layer) => {
    const names = exportedNames(`${layer}/index.ts`);
    expect(names.length).toBeGreaterThan(3);
    const documented = rows.flatMap(([, ours]) => codeSpans(ours ?? ''));
    expect(names.filter((name) => !documented.includes(`${layer}.${name}`))).toEqual([]);
  },
);

test('every name that the package itself exports has a row', () => {
  const names = [...exportedNames('index.ts'), ...Object.keys(gradwire)].filter(
    (name) => !['rpc', 'autograd', 'optim'].includes(name),
  );
  const documented = rows.flatMap(([, ours]) => codeSpans(ours ?? ''));
  expect(names.filter((name) => !documented.includes(name))).toEqual([]);
});

test('every name in a row that is there, in whole or in part, is exported', () => {
  const missing: string[] = [];
  for (const [, ours, state] of rows) {
    if (!/^(yes|part)/.test(state ?? '')) continue;
    for (const span of codeSpans(ours ?? '')) {
      const named = NAMED.exec(span);
      if (named === null) continue;
      const [, layer, name, method] = named as unknown as [
        '',
        keyof typeof LAYERS,
        string,
        string?,
      ];
      if (!exportedNames(`${layer}/index.ts`).includes(name)) missing.push(span);
      else if (method !== undefined && !hasMethod(LAYERS[layer][name], method)) missing.push(span);
    }
  }
  expect(missing).toEqual([]);
});

const LAYERS: Readonly<
  Record<'rpc' | 'autograd' | 'optim' | 'testing', Readonly<Record<string, unknown>>>
> = {
  // Of Worker only the type is public.
  rpc: { ...gradwire.rpc, Worker: WorkerNode },
  autograd: gradwire.autograd,
  optim: gradwire.optim,
  testing,
};

function hasMethod(value: unknown, method: string): boolean {
  return typeof value === 'function' && method in (value.prototype as object);
}
