/** What the documents point at is there: files, links, scripts, guarantees. */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import {
  codeSpans,
  DOCUMENTS,
  fencedBlocks,
  ROOT,
  readText,
  sourcesOf,
  tableRows,
} from '../support/documents.ts';

const FILE = /^[\w./-]+\/[\w.-]+\.(ts|py|md)$|^\w+\.(ts|md)$/;

test.each(DOCUMENTS)('the files that %s names are there', (document) => {
  const text = readText(document);
  const links = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, link]) => link as string);
  const files = [...codeSpans(text).filter((span) => FILE.test(span)), ...links];
  const folders = [ROOT, join(ROOT, dirname(document))];
  const missing = files.filter((file) => !folders.some((folder) => existsSync(join(folder, file))));
  expect(missing).toEqual([]);
});

test.each(DOCUMENTS)('the commands that %s gives are there', (document) => {
  const text = readText(document);
  const { scripts } = JSON.parse(readText('package.json')) as { scripts: Record<string, string> };
  const commands = [...codeSpans(text), ...fencedBlocks(text, 'sh')].join('\n');
  const named = [...commands.matchAll(/\bnpm (?:run )?([a-z:]+)/g)]
    .map(([, name]) => name as string)
    .filter((name) => !['ci', 'run', 'install', 'pack'].includes(name));
  expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
  const built = [...commands.matchAll(/\bnode dist\/(\S+)\.js/g)].map(([, path]) => `${path}.ts`);
  expect(built.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

test('the guarantees of ARCHITECTURE.md are cited in the files that it names, and in a test', () => {
  const text = readText('ARCHITECTURE.md');
  const section = /^## Guarantees$([\s\S]*?)^## /m.exec(text)?.[1] ?? '';
  const defined = new Map(
    [...section.matchAll(/^- \*\*(G\d+)\b[\s\S]*?(?=^- |^$)/gm)].map(([entry, name]) => [
      name as string,
      codeSpans(entry).filter((span) => FILE.test(span)),
    ]),
  );
  expect([...defined.keys()]).toEqual(['G1', 'G2', 'G3', 'G4', 'G5', 'G6', 'G7', 'G8']);
  const tests = sourcesOf('test').filter((file) => !file.startsWith('test/docs/'));
  const tested = new Set(tests.flatMap((file) => readText(file).match(/\bG\d+\b/g) ?? []));
  for (const [name, files] of defined) {
    expect(files).not.toEqual([]);
    expect(tested).toContain(name);
    for (const file of files)
      expect([file, readText(file).match(/\bG\d+\b/g)]).toEqual([
        file,
        expect.arrayContaining([name]),
      ]);
  }
});

test('the delivery promises of ARCHITECTURE.md are cited in the files that it names, and in the title of a test', () => {
  const section =
    /^## Delivery promises$([\s\S]*?)^## /m.exec(readText('ARCHITECTURE.md'))?.[1] ?? '';
  const rows = tableRows(section);
  expect(rows.map(([name]) => name)).toEqual(rows.map((_, i) => `P${i + 1}`));
  const tests = sourcesOf('test').filter((file) => !file.startsWith('test/docs/'));
  const titles = tests.flatMap((file) => readText(file).match(/\btest(\.each.*)?\(\s*'.*'/g) ?? []);
  const tested = titles.flatMap((title) => title.match(/\bP\d+\b/g) ?? []);
  for (const [name = '', , , code = ''] of rows) {
    expect(tested).toContain(name);
    for (const file of codeSpans(code)) {
      expect([file, readText(file).match(/\bP\d+\b/g)]).toEqual([
        file,
        expect.arrayContaining([name]),
      ]);
    }
  }
  expect(tested.filter((name) => !rows.some(([known]) => known === name))).toEqual([]);
});

test('the code cites no guarantee that ARCHITECTURE.md does not define', () => {
  const defined = new Set(readText('ARCHITECTURE.md').match(/\bG\d+\b/g));
  const files = ['tensor', 'rpc', 'autograd', 'optim', 'cli'].flatMap(sourcesOf);
  const unknown = files.flatMap((file) =>
    [...(readText(file).match(/guarantees? G\d+/g) ?? [])]
      .map((cited) => cited.replace(/^.* /, ''))
      .filter((name) => !defined.has(name))
      .map((name) => `${file}: ${name}`),
  );
  expect(unknown).toEqual([]);
});

test('every example has a row in examples/README.md, and no other has', () => {
  const mains = readdirSync(join(ROOT, 'examples'))
    .map((folder) => `${folder}/main.ts`)
    .filter((path) => existsSync(join(ROOT, 'examples', path)));
  const rows = tableRows(readText('examples/README.md'));
  expect(rows.map(([file]) => codeSpans(file ?? '')[0])).toEqual(mains);
});

test('AGENTS.md stays short', () => {
  expect(readText('AGENTS.md').trimEnd().split('\n').length).toBeLessThanOrEqual(40);
});
