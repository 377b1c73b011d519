/**
 * Tensors in files, by name, in the format safetensors, which PyTorch, JAX and others read too. Carries guarantees G5 and G8
 * for what is read. Knows nothing of optimizers or models.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { asError, GradwireError, isGradwireError } from '../errors.ts';
import { outside } from './async-slot.ts';
import { readPart, writeAtomically } from './atomic-file.ts';
import { makeTensor, readTensor } from './codec.ts';
import {
  decodeHead,
  decodePrefix,
  encodeHead,
  type FileHead,
  layOut,
  PREFIX_BYTES,
  type TensorEntry,
} from './safetensors.ts';
import * as tf from './tf.ts';

export interface SaveOptions {
  /** Texts that go with the tensors. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** What a file held. */
export interface LoadedTensors {
  /** The caller's, or those of the scope around. */
  readonly tensors: Record<string, tf.Tensor>;
  readonly metadata: Record<string, string>;
}

/**
 * Writes tensors and variables (float32, int32, bool) to `file`, as they are at this call; they stay their owner's. The file
 * is there as a whole or not at all, and an old one is replaced at the end. PyTorch: `torch.save` of a `state_dict`.
 *
 * @param record tensors by name; names are texts of 1 to 4096 characters, none of them a control character
 * @throws GradwireError (as rejection) `invalid_argument`, `tensor_freed`; `file_error` if it cannot be written
 */
export async function saveTensors(
  file: string,
  record: Readonly<Record<string, tf.Tensor>>,
  options: SaveOptions = {},
): Promise<void> {
  for (const [name, tensor] of Object.entries(record)) {
    if (!(tensor instanceof tf.Tensor)) {
      throw new GradwireError('invalid_argument', `'${name}' is no tensor`);
    }
    if (tensor.isDisposed) throw new GradwireError('tensor_freed', `tensor '${name}' was freed`);
  }
  const entries = layOut(
    Object.entries(record).map(([name, { dtype, shape }]) => ({ name, dtype, shape: [...shape] })),
  );
  const head = encodeHead({ entries, metadata: options.metadata ?? {} });
  // References of our own, so that it is no matter what becomes of the tensors while this writes.
  const held = outside(
    () => new Map(entries.map(({ name }) => [name, tf.keep(tf.clone(record[name] as tf.Tensor))])),
  );
  try {
    await writeAtomically(file, async (write) => {
      await write(head);
      for (const { name } of entries) {
        const { bytes } = await readTensor(held.get(name) as tf.Tensor);
        await write(bytes);
      }
    });
  } catch (error) {
    throw named(file, 'written', error);
  } finally {
    tf.dispose([...held.values()]);
  }
}

/**
 * Reads what `saveTensors`, or anything else that writes safetensors, has written. Everything that the file says of itself is
 * checked before memory is taken for it. PyTorch: `torch.load`.
 *
 * @throws GradwireError (as rejection) `file_error` naming file and field if it cannot be read, is cut off, damaged or not of
 *   the format; `unsupported_value` for a dtype other than float32, int32 and bool. No tensor is left then
 */
export async function loadTensors(file: string): Promise<LoadedTensors> {
  const tensors: [string, tf.Tensor][] = [];
  try {
    await using handle = await open(file, 'r');
    const { head, dataStart } = await readHead(handle);
    for (const entry of head.entries) {
      const bytes = await readPart(handle, dataStart + entry.begin, entry.end - entry.begin);
      tensors.push([entry.name, toTensor(entry, bytes)]);
    }
    return { tensors: Object.fromEntries(tensors), metadata: { ...head.metadata } };
  } catch (error) {
    tf.dispose(tensors.map(([, tensor]) => tensor));
    throw named(file, 'read', error);
  }
}

async function readHead(handle: FileHandle): Promise<{ head: FileHead; dataStart: number }> {
  const stats = await handle.stat();
  if (!stats.isFile()) throw new GradwireError('file_error', 'it is no regular file');
  const length = decodePrefix(await readPart(handle, 0, PREFIX_BYTES), stats.size);
  const text = await readPart(handle, PREFIX_BYTES, length);
  const dataStart = PREFIX_BYTES + length;
  return { head: decodeHead(text, stats.size - dataStart), dataStart };
}

function toTensor({ name, dtype, shape }: TensorEntry, bytes: Uint8Array): tf.Tensor {
  const isTruth = (byte: number): boolean => byte <= 1;
  if (dtype === 'bool' && !bytes.every(isTruth)) {
    throw new GradwireError('file_error', `tensor '${name}' has bool elements beyond 0 and 1`);
  }
  return makeTensor({ dtype, shape, byteLength: bytes.byteLength }, bytes);
}

/** The same failure with the name of the file in it. */
function named(file: string, done: 'read' | 'written', error: unknown): GradwireError {
  const isOurs = isGradwireError(error);
  const reason = isOurs ? error.message.slice(`${error.code}: `.length) : asError(error).message;
  // A file that became shorter while it was read shows as a tensor without its bytes.
  const code = isOurs && error.code !== 'protocol_error' ? error.code : 'file_error';
  const cause = isOurs ? error.cause : error;
  return new GradwireError(code, `'${file}' cannot be ${done}: ${reason}`, { cause });
}
