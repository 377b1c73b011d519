import { debuglog, types } from 'node:util';
import { TensorScope } from '../tensor/index.ts';
import { unpack } from './packet.ts';
import type { Extension } from './value-codec.ts';

const debug = debuglog('gradwire');

/** Nobody waits for this answer: the references in it are let go. */
export function discard(bytes: Uint8Array, extensions: ReadonlyMap<number, Extension>): void {
  const scope = new TensorScope();
  try {
    dispose(scope.run(() => unpack(bytes, extensions)).body);
  } catch (error) {
    debug('a late answer could not be read: %s', error);
  } finally {
    scope.dispose();
  }
}

function dispose(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  if (Symbol.dispose in value) return (value as Disposable)[Symbol.dispose]();
  const isCollection = types.isMap(value) || types.isSet(value);
  for (const entry of isCollection ? [...value].flat() : Object.values(value)) dispose(entry);
}
