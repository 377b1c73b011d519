/**
 * Files that are either there as a whole or not at all: written beside their place, brought to the disk, then renamed. Knows
 * nothing of what is in them.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** One read or write of a file; the system takes no more than 2 GiB at a time. */
const PART_BYTES = 2 ** 26;

/**
 * Replaces `file` by what `fill` writes. If that fails, or the process ends meanwhile, the old file is untouched; in the second case
 * a file `….tmp` is left beside it. When this resolves a loss of power no longer matters.
 */
export async function writeAtomically(
  file: string,
  fill: (write: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<void> {
  const temporary = `${file}.${randomUUID()}.tmp`;
  try {
    await writeNew(temporary, fill);
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(file));
}

async function writeNew(
  file: string,
  fill: (write: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<void> {
  await using handle = await open(file, 'wx');
  await fill((bytes) => writeAll(handle, bytes));
  await handle.sync();
}

/** `length` bytes from `position`; fewer if the file ends before. */
export async function readPart(
  handle: FileHandle,
  position: number,
  length: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const size = Math.min(PART_BYTES, length - done);
    const { bytesRead } = await handle.read(bytes, done, size, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) {
    const size = Math.min(PART_BYTES, bytes.byteLength - done);
    done += (await handle.write(bytes, done, size)).bytesWritten;
  }
}

/** Brings the new name to the disk. */
async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open a folder, and needs no sync of it.
  if (process.platform === 'win32') return;
  await using handle = await open(folder, 'r');
  await handle.sync();
}
