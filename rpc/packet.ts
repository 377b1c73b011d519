/**
 * One message: the fields of the protocol (`head`), the user's value (`body`), what interceptors add (`meta`), and beside
 * them the tensors and long binary data, which the values refer to by number.
 *
 *     0 values length u32 | 4 table length u32 | head, body, meta | table | padding to 8
 *     then the bytes of each row of the table, each padded to 8
 *
 * The table has a header per tensor, then the length of each piece of binary data. Carries promise P3.
 */
import { GradwireError } from '../errors.ts';
import {
  checkHeader,
  makeTensor,
  readTensor,
  type TensorBytes,
  type TensorHeader,
  tf,
} from '../tensor/index.ts';
import { padded } from './frame.ts';
import type { Extension } from './value-codec.ts';
import { type Attached, ValueDecoder } from './value-decoder.ts';
import { ValueEncoder } from './value-encoder.ts';

const PREFIX_BYTES = 8;

/** A message ready to be sent: its parts in order, and their length in all. */
export interface Packet {
  readonly parts: readonly Uint8Array[];
  readonly total: number;
}

export interface Message {
  /** Fields of the protocol: plain values. */
  readonly head: unknown;
  /** The value of the user: arguments or result. */
  readonly body: unknown;
  /** What `body` is called in errors. */
  readonly bodyName: string;
}

export interface Unpacked {
  readonly head: unknown;
  readonly body: unknown;
  readonly meta: unknown;
  /** The tensors of the body in the order in which the sender met them; they belong to the current scope. */
  readonly tensors: readonly tf.Tensor[];
}

/**
 * Takes a snapshot of the message and its tensors. The tensors are read, not consumed. On engines that can only be read
 * asynchronously the packet comes later; what it holds is settled now.
 *
 * @param meta is told the tensors of the body and gives what interceptors add; plain values only
 * @throws GradwireError `unsupported_value` with the path of what cannot be sent, `tensor_freed`
 */
export function pack(
  message: Message,
  extensions: readonly Extension[],
  meta: (tensors: readonly tf.Tensor[]) => unknown,
): Packet | Promise<Packet> {
  const numbers = new Map<tf.Tensor, number>();
  const snapshots: Uint8Array[] = [];
  const encoder = new ValueEncoder(extensions, {
    tensor: (value) => {
      if (!(value instanceof tf.Tensor)) return undefined;
      const known = numbers.get(value);
      if (known !== undefined) return known;
      numbers.set(value, numbers.size);
      return numbers.size - 1;
    },
    // Not `slice`, which for a Buffer shares memory.
    bytes: (bytes) => snapshots.push(new Uint8Array(bytes)) - 1,
  });
  encoder.encode(message.head, 'the head');
  encoder.encode(message.body, message.bodyName);
  const tensors = [...numbers.keys()];
  const contents = tensors.map(readTensor);
  encoder.encode(meta(tensors), 'meta');
  if (contents.every((content): content is TensorBytes => !(content instanceof Promise))) {
    return assemble(encoder, contents, snapshots);
  }
  return Promise.all(contents).then((read) => assemble(encoder, read, snapshots));
}

function assemble(
  encoder: ValueEncoder,
  contents: readonly TensorBytes[],
  snapshots: readonly Uint8Array[],
): Packet {
  const { writer } = encoder;
  const valueBytes = writer.length;
  const headers = contents.map(({ header }) => [header.dtype, header.byteLength, ...header.shape]);
  const lengths = snapshots.map(({ byteLength }) => byteLength);
  encoder.encode([...headers, ...lengths], 'the table');
  const head = Buffer.alloc(padded(PREFIX_BYTES + writer.length));
  head.writeUInt32LE(valueBytes, 0);
  head.writeUInt32LE(writer.length - valueBytes, 4);
  head.set(writer.view(), PREFIX_BYTES);
  const parts: Uint8Array[] = [head];
  let total = head.length;
  for (const bytes of [...contents.map((content) => content.bytes), ...snapshots]) {
    parts.push(bytes);
    const filling = padded(bytes.byteLength) - bytes.byteLength;
    if (filling > 0) parts.push(ZEROS.subarray(0, filling));
    total += bytes.byteLength + filling;
  }
  return { parts, total };
}

const ZEROS = new Uint8Array(8);

/**
 * What a message holds. All sizes are checked against the bytes that are there before anything is
 * made of them.
 *
 * @param make makes each tensor; the default makes it in the current scope
 * @throws GradwireError `protocol_error`; `unknown_function` and `unsupported_value` from value classes. Then the tensors and
 * references that were made are gone.
 */
export function unpack(
  message: Uint8Array,
  extensions: ReadonlyMap<number, Extension>,
  make: (header: TensorHeader, bytes: Uint8Array) => tf.Tensor = makeTensor,
): Unpacked {
  const buffer = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  if (buffer.length < PREFIX_BYTES) throw malformed('no prefix');
  const tableStart = PREFIX_BYTES + buffer.readUInt32LE(0);
  const tableEnd = tableStart + buffer.readUInt32LE(4);
  if (tableEnd > buffer.length) throw malformed('parts beyond its end');
  const rows = readTable(buffer.subarray(tableStart, tableEnd));
  let position = padded(tableEnd);
  const take = (byteLength: number): Uint8Array => {
    if (byteLength > buffer.length - position) throw malformed('tensors or bytes beyond its end');
    const bytes = buffer.subarray(position, position + byteLength);
    position += padded(byteLength);
    return bytes;
  };
  const contents = rows.headers.map((header) => {
    checkHeader(header, Number.MAX_SAFE_INTEGER);
    return { header, bytes: take(header.byteLength) };
  });
  const binary: (Uint8Array | undefined)[] = rows.lengths.map(take);
  const tensors: tf.Tensor[] = [];
  const values = buffer.subarray(PREFIX_BYTES, tableStart);
  const named = new Set<number>();
  const decoder = new ValueDecoder(values, extensions, {
    tensor: (index) => {
      named.add(index);
      return tensors[index];
    },
    bytes: (index) => {
      const bytes = binary[index];
      binary[index] = undefined;
      return bytes;
    },
  });
  try {
    for (const { header, bytes } of contents) tensors.push(make(header, bytes));
    const unpacked = {
      head: decoder.decode(),
      body: decoder.decode(),
      meta: decoder.decode(),
      tensors,
    };
    // Nobody would ever free what nobody gets.
    if (named.size < tensors.length) throw malformed('tensors that are in no value');
    return unpacked;
  } catch (error) {
    decoder.abandon();
    tf.dispose(tensors);
    throw error;
  }
}

/** The head alone, of a message that is not read further. @throws GradwireError `protocol_error` */
export function readHead(message: Uint8Array): unknown {
  const buffer = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  if (buffer.length < PREFIX_BYTES) throw malformed('no prefix');
  const tableStart = PREFIX_BYTES + buffer.readUInt32LE(0);
  return new ValueDecoder(buffer.subarray(PREFIX_BYTES, tableStart), new Map(), NOTHING).decode();
}

interface Table {
  readonly headers: readonly TensorHeader[];
  readonly lengths: readonly number[];
}

const NOTHING: Attached = { tensor: () => undefined, bytes: () => undefined };

function readTable(bytes: Uint8Array): Table {
  const table = new ValueDecoder(bytes, new Map(), NOTHING).decode();
  if (!Array.isArray(table)) throw malformed('no table of tensors');
  const headers: TensorHeader[] = [];
  const lengths: number[] = [];
  for (const row of table as readonly unknown[]) {
    if (Number.isSafeInteger(row) && (row as number) >= 0) lengths.push(row as number);
    else if (Array.isArray(row)) {
      const [dtype, byteLength, ...shape] = row as [TensorHeader['dtype'], number, ...number[]];
      headers.push({ dtype, byteLength, shape });
    } else throw malformed('a tensor without a header');
  }
  return { headers, lengths };
}

function malformed(what: string): GradwireError {
  return new GradwireError('protocol_error', `a message has ${what}`, { stage: 'decode' });
}
