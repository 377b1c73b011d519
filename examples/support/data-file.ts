/**
 * Reading one data file: its bytes, unpacked if they are gzip's, and what they are known by. Whatever is wrong with a file is
 * one line that names it. Knows nothing of what the bytes mean.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

/** The data set cannot be had or used; the message is for people, and one line where one file is at fault. */
export class DataError extends Error {
  override readonly name: string = 'DataError';
}

/** Above every file of MNIST, and a bound on what a hostile gzip file can unpack to. */
const MAX_BYTES = 256 * 1024 * 1024;

/** A file whose content is known beforehand. */
export interface KnownContent {
  /** Length of the content, unpacked. */
  readonly bytes: number;
  /** SHA-256 of the content, unpacked, in hexadecimal: how it was packed says nothing. */
  readonly sha256: string;
}

/** The bytes of a file, unpacked if they are gzip's, whatever its name says. @throws DataError */
export async function unpack(path: string): Promise<Uint8Array> {
  const raw = await readFile(path).catch((cause: Error) => {
    throw new DataError(`${path}: cannot be read: ${cause.message}`, { cause });
  });
  if (raw[0] !== 0x1f || raw[1] !== 0x8b) return raw;
  return await promisify(gunzip)(raw, { maxOutputLength: MAX_BYTES }).catch((cause: Error) => {
    const { code } = cause as NodeJS.ErrnoException;
    const fault =
      code === 'ERR_BUFFER_TOO_LARGE'
        ? `unpacks to more than ${MAX_BYTES} bytes`
        : `corrupt gzip file: ${cause.message}`;
    throw new DataError(`${path}: ${fault}`, { cause });
  });
}

/** In hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** What keeps the file at `path` from holding `known`, in a few words; undefined if it holds just that. */
export async function faultOf(path: string, known: KnownContent): Promise<string | undefined> {
  try {
    const content = await unpack(path);
    if (sha256(content) === known.sha256) return undefined;
    if (content.length === known.bytes) return 'its content is damaged';
    return `its content has ${content.length} bytes instead of ${known.bytes}`;
  } catch (error) {
    if (error instanceof DataError) return error.message.replace(`${path}: `, '');
    throw error;
  }
}
