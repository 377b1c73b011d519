/** The byte codec on every engine: round trips bit for bit, snapshots, and refusal of what does not fit together. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  checkHeader,
  DTYPES,
  type DType,
  makeTensor,
  readTensor,
  startEngine,
  type TensorBytes,
  type TensorHeader,
  tf,
} from '../../tensor/index.ts';
import { encodeStrings } from '../../tensor/string-table.ts';
import { runs } from '../support/runs.ts';
import { ENGINES, expectNoLeak } from './support.ts';

const shapes = fc.array(fc.nat({ max: 4 }), { maxLength: 6 });

/** Any tensor as bytes: of every dtype, every rank, with every bit pattern. */
const tensorBytes: fc.Arbitrary<TensorBytes> = fc
  .tuple(fc.constantFrom(...(Object.keys(DTYPES) as DType[])), shapes)
  .chain(([dtype, shape]) => {
    const count = shape.reduce((a, b) => a * b, 1);
    const length = count * DTYPES[dtype].elementBytes;
    const element = fc.uint8Array({ maxLength: 9 });
    const bytes =
      dtype === 'string'
        ? fc.array(element, { minLength: count, maxLength: count }).map(encodeStrings)
        : fc.uint8Array({ minLength: length, maxLength: length });
    return bytes.map((made) => ({
      header: { dtype, shape, byteLength: made.byteLength },
      bytes: dtype === 'bool' ? made.map((byte) => byte & 1) : made,
    }));
  });

/** The same bytes at an address that is no multiple of 4. */
function unaligned(bytes: Uint8Array): Uint8Array {
  const buffer = Buffer.alloc(bytes.byteLength + 8);
  buffer.set(bytes, 3);
  return buffer.subarray(3, 3 + bytes.byteLength);
}

function read(tensor: tf.Tensor): TensorBytes {
  const read = readTensor(tensor);
  if (read instanceof Promise) throw new Error('expected to read at once');
  return read;
}

describe.each(ENGINES)('on %s', (engine) => {
  beforeAll(() => startEngine(engine));
  afterAll(() => startEngine('wasm'));

  test('what is made from bytes reads back as the same bytes', async () => {
    await expectNoLeak(() => {
      fc.assert(
        fc.property(tensorBytes, ({ header, bytes }) => {
          checkHeader(header, 1 << 20);
          const source = unaligned(bytes);
          const tensor = makeTensor(header, source);
          source.fill(0xa5);
          const again = read(tensor);
          tensor.dispose();
          expect(again.header).toEqual(header);
          expect(Buffer.compare(again.bytes, bytes)).toBe(0);
        }),
        runs(300),
      );
    });
  });

  test('values are those of the tensor', async () => {
    await expectNoLeak(() => {
      tf.tidy(() => {
        const floats = [1.5, Number.NaN, Infinity, -Infinity, -0];
        expect(read(tf.tensor(floats)).bytes).toEqual(
          new Uint8Array(new Float32Array(floats).buffer),
        );
        expect(read(tf.tensor([[1, -2]], [1, 2], 'int32'))).toEqual({
          header: { dtype: 'int32', shape: [1, 2], byteLength: 8 },
          bytes: Uint8Array.of(1, 0, 0, 0, 254, 255, 255, 255),
        });
        expect(read(tf.greater([1, 2], 1)).bytes).toEqual(Uint8Array.of(0, 1));
        expect(read(tf.tensor(['ä', ''])).bytes).toEqual(
          Uint8Array.of(2, 0, 0, 0, 0xc3, 0xa4, 0, 0, 0, 0),
        );
        const pairs = new Float32Array([1, 3, 2, 4]);
        const complex = tf.complex([1, 2], [3, 4]);
        expect(read(complex).bytes).toEqual(new Uint8Array(pairs.buffer));
        const header: TensorHeader = { dtype: 'complex64', shape: [2], byteLength: 16 };
        const made = makeTensor(header, new Uint8Array(pairs.buffer));
        expect(Array.from(tf.real(made).dataSync())).toEqual([1, 2]);
        expect(Array.from(tf.imag(made).dataSync())).toEqual([3, 4]);
        expect(Array.from(made.dataSync())).toEqual([1, 3, 2, 4]);
        const clone = tf.clone(made);
        made.dispose();
        expect(read(clone).bytes).toEqual(new Uint8Array(pairs.buffer));
      });
    });
  });

  test('a variable is read, and bytes are a snapshot', async () => {
    await expectNoLeak(() => {
      const variable = tf.tidy(() => tf.variable(tf.tensor([1, 2])));
      const before = read(variable);
      const next = tf.tensor([3, 4]);
      variable.assign(next);
      expect(before.bytes).toEqual(new Uint8Array(new Float32Array([1, 2]).buffer));
      expect(read(variable).bytes).toEqual(new Uint8Array(new Float32Array([3, 4]).buffer));
      tf.dispose([variable, next]);
      expect(() => readTensor(variable)).toThrow(expect.objectContaining({ code: 'tensor_freed' }));
    });
  });

  test('reading and making run no operation', async () => {
    const profile = await tf.profile(() => {
      const header: TensorHeader = { dtype: 'complex64', shape: [], byteLength: 8 };
      for (const tensor of [tf.tensor([1]), makeTensor(header, new Uint8Array(8))]) {
        const { header, bytes } = read(tensor);
        tf.dispose([tensor, makeTensor(header, bytes)]);
      }
      return [];
    });
    expect(profile.kernelNames).toEqual([]);
  });

  test('a tensor of the other engine is read where it is', async () => {
    await expectNoLeak(async () => {
      const tensor = tf.tensor([1, 2, 3]);
      await startEngine(engine === 'wasm' ? 'cpu' : 'wasm');
      expect(read(tensor).bytes).toEqual(new Uint8Array(new Float32Array([1, 2, 3]).buffer));
      tensor.dispose();
      await startEngine(engine);
    });
  });

  test('string tables that do not fit are refused', async () => {
    await expectNoLeak(() => {
      const refused = expect.objectContaining({ code: 'protocol_error' });
      for (const bytes of [
        [9, 0, 0, 0, 65],
        [0, 0, 0, 0, 65],
        [255, 255, 255, 255, 65],
        [0, 0, 0, 0, 0, 0],
      ]) {
        const table = Uint8Array.from(bytes);
        const header: TensorHeader = { dtype: 'string', shape: [1], byteLength: table.length };
        expect(() => makeTensor(header, table)).toThrow(refused);
      }
      const header: TensorHeader = { dtype: 'float32', shape: [1], byteLength: 4 };
      expect(() => makeTensor(header, new Uint8Array(5))).toThrow(refused);
    });
  });
});

test('headers that cannot be right are refused before anything is allocated', () => {
  const refuse = (header: unknown, code: string): void => {
    expect(() => checkHeader(header as TensorHeader, 1000)).toThrow(
      expect.objectContaining({ code }),
    );
  };
  refuse({ dtype: 'float64', shape: [1], byteLength: 8 }, 'protocol_error');
  refuse({ dtype: 'toString', shape: [], byteLength: 0 }, 'protocol_error');
  refuse({ dtype: 'float32', shape: [1, 1, 1, 1, 1, 1, 1], byteLength: 4 }, 'protocol_error');
  refuse({ dtype: 'float32', shape: 'no', byteLength: 4 }, 'protocol_error');
  for (const dim of [-1, 0.5, Number.NaN, 2 ** 53, '1', undefined]) {
    refuse({ dtype: 'float32', shape: [dim], byteLength: 4 }, 'protocol_error');
  }
  refuse({ dtype: 'float32', shape: [2], byteLength: 4 }, 'protocol_error');
  refuse({ dtype: 'float32', shape: [2 ** 40, 2 ** 40], byteLength: 4 }, 'protocol_error');
  refuse({ dtype: 'float32', shape: [], byteLength: Number.NaN }, 'protocol_error');
  refuse({ dtype: 'float32', shape: [251], byteLength: 1004 }, 'message_too_large');
  refuse({ dtype: 'string', shape: [2], byteLength: 7 }, 'protocol_error');
  refuse({ dtype: 'string', shape: [0], byteLength: 4 }, 'protocol_error');
  checkHeader({ dtype: 'string', shape: [2], byteLength: 9 }, 1000);
  checkHeader({ dtype: 'float32', shape: [0, 2 ** 40], byteLength: 0 }, 1000);
  checkHeader({ dtype: 'float32', shape: [250], byteLength: 1000 }, 1000);
});

test('numbers of dtypes on the wire are fixed', () => {
  expect(
    Object.fromEntries(Object.entries(DTYPES).map(([name, { wireId }]) => [name, wireId])),
  ).toEqual({
    float32: 1,
    int32: 2,
    bool: 3,
    complex64: 4,
    string: 5,
  });
});
