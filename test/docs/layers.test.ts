/** Who may import whom, as ARCHITECTURE.md says: the linter forbids the wrong folders, this also the back doors. */
import { posix } from 'node:path';
import { expect, test } from '@jest/globals';
import { readText, sourcesOf } from '../support/documents.ts';

/** Layers that a layer may import; each also its own files and errors.ts. */
const BELOW: Readonly<Record<string, readonly string[]>> = {
  tensor: [],
  rpc: ['tensor'],
  autograd: ['tensor', 'rpc'],
  optim: ['tensor', 'rpc', 'autograd'],
  cli: ['tensor'],
  testing: ['rpc'],
};

/** Where a layer may be entered from another one. */
const DOORS = ['index.ts', 'internal.ts', 'conformance/index.ts'];

/** Outside packages, and the folder that alone may import each. */
const PACKAGES: Readonly<Record<string, string>> = {
  '@tensorflow/': 'tensor/',
  '@grpc/': 'rpc/grpc/',
  '@bufbuild/': 'rpc/grpc/',
  '@peculiar/': 'cli/',
  uuid: 'rpc/',
  rxjs: 'rpc/',
};

interface Import {
  readonly file: string;
  readonly target: string;
}

function importsOf(file: string): Import[] {
  const text = readText(file);
  const statements = [
    ...text.matchAll(/^(?:import|export)\s[\w\s{}*,]*\bfrom\s+['"]([^'"]+)['"]/gm),
    ...text.matchAll(/^import\s+['"]([^'"]+)['"]/gm),
    ...text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g),
  ];
  return statements.map(([, target]) => ({ file, target: target as string }));
}

const resolve = ({ file, target }: Import): string => posix.join(posix.dirname(file), target);
const say = ({ file, target }: Import): string => `${file} imports ${target}`;

test.each(Object.entries(BELOW))('%s imports only what lies below it', (layer, below) => {
  const imports = sourcesOf(layer).flatMap(importsOf);
  const relative = imports.filter(({ target }) => target.startsWith('.'));
  expect(relative.length).toBeGreaterThan(3);
  const wrong = relative.filter((statement) => {
    const path = resolve(statement);
    if (path === 'errors.ts' || path.startsWith(`${layer}/`)) return false;
    return !below.some((other) => DOORS.some((door) => path === `${other}/${door}`));
  });
  expect(wrong.map(say)).toEqual([]);
});

test('errors.ts imports nothing', () => {
  expect(importsOf('errors.ts')).toEqual([]);
});

test('examples import the package by its name, and beside it only each other', () => {
  const wrong = sourcesOf('examples')
    .flatMap(importsOf)
    .filter((statement) => {
      const { target } = statement;
      if (target.startsWith('.')) return !resolve(statement).startsWith('examples/');
      return target !== 'gradwire' && !target.startsWith('node:');
    });
  expect(wrong.map(say)).toEqual([]);
});

test('each outside package is imported in one place alone', () => {
  const wrong = Object.keys(BELOW)
    .flatMap(sourcesOf)
    .flatMap(importsOf)
    .filter(({ file, target }) => {
      if (target.startsWith('.') || target.startsWith('node:')) return false;
      const known = Object.keys(PACKAGES).find((name) => target.startsWith(name));
      return known === undefined || !file.startsWith(PACKAGES[known] as string);
    });
  expect(wrong.map(say)).toEqual([]);
});
