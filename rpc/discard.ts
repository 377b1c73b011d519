import { debuglog, types } from 'node:util';
import { TensorScope } from '../tensor/index.ts';
import { isAggregate, isError } from './error-values.ts';
import { unpack } from './packet.ts';
import type { Extension } from './value-codec.ts';

const debug = debuglog('gradwire');

/** Nobody waits for this answer: the references in it are let go. */
export function discard(bytes: Uint8Array, extensions: ReadonlyMap<number, Extension>): void {
  const scope = new TensorScope();
  try {
    disposeReferences(scope.run(() => unpack(bytes, extensions)).body);
  } catch (error) {
    debug('a late answer could not be read: %s', error);
  } finally {
    scope.dispose();
  }
}

/** Lets go of the references in a value that came in a message. */
export function disposeReferences(value: unknown): void {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return;
  if (Symbol.dispose in value) return (value as Disposable)[Symbol.dispose]();
  const isCollection = types.isMap(value) || types.isSet(value);
  const entries = isCollection ? [...value].flat() : Object.values(value);
  for (const entry of entries) disposeReferences(entry);
  if (isError(value)) disposeReferences([value.cause, isAggregate(value) && value.errors]);
}
