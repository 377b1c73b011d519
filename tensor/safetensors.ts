/**
 * The head of a file of tensors in the format safetensors: 8 bytes with the length of a JSON text (little endian), that text,
 * then the bytes of all tensors without holes. Pure: bytes and text alone, no file and no engine. A head may come from anywhere, so all
 * of it is checked before anything is allocated for what it announces (guarantee G8).
 */
import { GradwireError } from '../errors.ts';
import { DTYPES, type DType } from './dtype.ts';

/** Bytes before the JSON text. */
export const PREFIX_BYTES = 8;

/** The format's own limit. */
const MAX_HEADER_BYTES = 100_000_000;
const MAX_RANK = 6;
const MAX_NAME_LENGTH = 4096;
const METADATA = '__metadata__';

/** dtypes of both worlds; the format has others, which the engines have not. */
const NAMES: Readonly<Partial<Record<DType, string>>> = {
  float32: 'F32',
  int32: 'I32',
  bool: 'BOOL',
};
const FOREIGN = [
  'F64',
  'F16',
  'BF16',
  'F8_E5M2',
  'F8_E4M3',
  'I64',
  'U64',
  'U32',
  'I16',
  'U16',
  'I8',
  'U8',
];

/** One tensor of a file. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Where its bytes begin and end, counted from the end of the head. */
  readonly begin: number;
  readonly end: number;
}

/** What a head says. */
export interface FileHead {
  /** In the order of their bytes. */
  readonly entries: readonly TensorEntry[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** What is told of a tensor to be written. */
export interface TensorPlan {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/**
 * Where each tensor goes: those with large elements first, so that all are aligned, else in the order given.
 *
 * @throws GradwireError `invalid_argument` for a name or a dtype that the format cannot have
 */
export function layOut(plans: readonly TensorPlan[]): readonly TensorEntry[] {
  const sizeOf = ({ dtype }: TensorPlan): number => DTYPES[dtype].elementBytes;
  const sorted = [...plans].sort((a, b) => sizeOf(b) - sizeOf(a));
  let end = 0;
  return sorted.map((plan) => {
    const problem = nameProblem(plan.name);
    if (problem !== undefined) throw invalid(`the name ${quote(plan.name)} ${problem}`);
    if (NAMES[plan.dtype] === undefined) {
      throw invalid(`tensor ${quote(plan.name)} is ${plan.dtype}: only ${known()} can be saved`);
    }
    const begin = end;
    end += plan.shape.reduce((size, dim) => size * dim, sizeOf(plan));
    return { ...plan, begin, end };
  });
}

/**
 * Prefix and text, padded so that what follows is aligned to 8 bytes.
 *
 * @throws GradwireError `invalid_argument` for metadata that are not texts, or a head over 100 MB
 */
export function encodeHead({ entries, metadata }: FileHead): Uint8Array {
  const fields: [string, unknown][] = entries.map(({ name, dtype, shape, begin, end }) => [
    name,
    { dtype: NAMES[dtype], shape, data_offsets: [begin, end] },
  ]);
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== 'string') throw invalid(`metadata ${quote(key)} is no text`);
  }
  if (Object.keys(metadata).length > 0) fields.unshift([METADATA, metadata]);
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(fields)));
  const length = Math.ceil(text.byteLength / 8) * 8;
  if (length > MAX_HEADER_BYTES) throw invalid(`the head takes ${length} bytes, over 100 MB`);
  const head = new Uint8Array(PREFIX_BYTES + length).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(length), true);
  head.set(text, PREFIX_BYTES);
  return head;
}

/**
 * Length of the text that follows the prefix.
 *
 * @param fileBytes size of the whole file
 * @throws GradwireError `file_error` over 100 MB or beyond the end of the file
 */
export function decodePrefix(prefix: Uint8Array, fileBytes: number): number {
  if (prefix.byteLength < PREFIX_BYTES) {
    throw damaged(`${prefix.byteLength} bytes are too few for any head`);
  }
  const { buffer, byteOffset } = prefix;
  const length = new DataView(buffer, byteOffset, PREFIX_BYTES).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw damaged(`the head would take ${length} bytes, over the limit of 100 MB`);
  }
  if (Number(length) > fileBytes - PREFIX_BYTES) {
    throw damaged(`the head would take ${length} bytes of a file of ${fileBytes}`);
  }
  return Number(length);
}

/**
 * What the text says, checked in every field.
 *
 * @param dataBytes bytes that follow the head
 * @throws GradwireError `file_error` naming the field; `unsupported_value` for a dtype of the format that no engine has
 */
export function decodeHead(text: Uint8Array, dataBytes: number): FileHead {
  const { source, value } = parse(text);
  const fields = Object.entries(value);
  const metadata = fields.find(([name]) => name === METADATA)?.[1] ?? {};
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === 'string')) {
    throw damaged(`${METADATA} is no record of texts`);
  }
  const entries = fields
    .filter(([name]) => name !== METADATA)
    .map(([name, entry]) => readEntry(name, entry))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  // A parser keeps the last of two fields of one name, without a word. Each tensor has three fields by now.
  const keys = fields.length + 3 * entries.length + Object.keys(metadata).length;
  if (countKeys(source) !== keys) throw damaged('the head has a name twice');
  let end = 0;
  for (const entry of entries) {
    if (entry.begin !== end) {
      const what = entry.begin < end ? 'overlap' : 'leave a hole before';
      throw damaged(`the bytes of tensor ${quote(entry.name)} ${what} byte ${end}`);
    }
    end = entry.end;
  }
  if (end !== dataBytes) {
    throw damaged(`the tensors take ${end} bytes, but ${dataBytes} follow the head`);
  }
  return { entries, metadata: metadata as Record<string, string> };
}

function parse(text: Uint8Array): { source: string; value: Record<string, unknown> } {
  let source: string;
  let value: unknown;
  try {
    source = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text);
    value = JSON.parse(source);
  } catch (cause) {
    throw damaged('the head is no JSON text in UTF-8', cause);
  }
  if (!source.startsWith('{') || !isRecord(value)) throw damaged('the head is no JSON record');
  return { source, value };
}

/** Number of field names in a valid JSON text: the strings that a colon follows. */
function countKeys(source: string): number {
  let keys = 0;
  for (let start = source.indexOf('"'); start >= 0; ) {
    let end = start + 1;
    while (source[end] !== '"') end += source[end] === '\\' ? 2 : 1;
    do end++;
    while (' \t\n\r'.includes(source[end] ?? '-'));
    if (source[end] === ':') keys++;
    start = source.indexOf('"', end);
  }
  return keys;
}

function readEntry(name: string, entry: unknown): TensorEntry {
  const problem = nameProblem(name);
  if (problem !== undefined) throw damaged(`the name ${quote(name)} ${problem}`);
  const where = `tensor ${quote(name)}`;
  if (!isRecord(entry)) throw damaged(`${where} is described by no record`);
  const { dtype: foreign, shape, data_offsets: offsets, ...others } = entry;
  const [other] = Object.keys(others);
  if (other !== undefined) throw damaged(`${where} has the unknown field ${quote(other)}`);
  const dtype = (Object.keys(NAMES) as DType[]).find((own) => NAMES[own] === foreign);
  if (dtype === undefined) throw unknownDType(where, foreign);
  if (!Array.isArray(shape) || shape.length > MAX_RANK || !shape.every(isSize)) {
    throw damaged(`shape of ${where} is no list of at most ${MAX_RANK} sizes`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    throw damaged(`data_offsets of ${where} is no pair of sizes`);
  }
  const [begin, end] = offsets as [number, number];
  const bytes = shape.reduce((size: number, dim: number) => size * dim, DTYPES[dtype].elementBytes);
  if (end - begin !== bytes) {
    throw damaged(
      `data_offsets of ${where} hold ${end - begin} bytes, but ${dtype} of shape [${shape}] takes ${bytes}`,
    );
  }
  return { name, dtype, shape, begin, end };
}

function unknownDType(where: string, dtype: unknown): GradwireError {
  if (!FOREIGN.includes(dtype as string)) return damaged(`dtype of ${where} is ${quote(dtype)}`);
  return new GradwireError(
    'unsupported_value',
    `${where} is ${dtype}, which no engine has: convert the file to ${known()}`,
  );
}

/** Why the format, or a terminal, could not have the name; undefined if all is well. */
function nameProblem(name: string): string | undefined {
  if (name === '' || name === METADATA) return 'is no name of a tensor';
  if (name.length > MAX_NAME_LENGTH) return `has over ${MAX_NAME_LENGTH} characters`;
  if (/\p{Cc}|\p{Cs}/u.test(name)) return 'has control characters or half of one';
  return undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSize(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** A name as it may stand in a message, whatever it is. */
function quote(value: unknown): string {
  if (typeof value !== 'string') return value === undefined ? 'missing' : `a ${typeof value}`;
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
}

function known(): string {
  return Object.keys(NAMES).join(', ');
}

function damaged(message: string, cause?: unknown): GradwireError {
  return new GradwireError('file_error', message, { cause });
}

function invalid(message: string): GradwireError {
  return new GradwireError('invalid_argument', message);
}
