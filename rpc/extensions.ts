/** The types beyond plain values that travel in every message, whoever sends it; references depend on the peer. */
import { errorExtension } from './error-values.ts';
import { sparseSlicesExtension } from './sparse-extension.ts';
import type { Extension } from './value-codec.ts';
import { workerInfoExtension } from './worker-info.ts';

export const COMMON_EXTENSIONS: readonly Extension[] = [
  workerInfoExtension,
  sparseSlicesExtension,
  errorExtension,
];

export function byTag(extensions: readonly Extension[]): ReadonlyMap<number, Extension> {
  return new Map(extensions.map((extension) => [extension.tag, extension]));
}
