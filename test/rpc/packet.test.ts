import { beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isGradwireError } from '../../errors.ts';
import { type Packet, pack, unpack } from '../../rpc/packet.ts';
import { startEngine, tf } from '../../tensor/index.ts';
import { expectNoLeak } from '../support/leaks.ts';
import { runs } from '../support/runs.ts';

beforeAll(async () => {
  await startEngine('cpu');
});

function bytesOf(body: unknown, meta: unknown = null): Buffer {
  const packet = pack({ head: ['h'], body, bodyName: 'it' }, [], () => meta) as Packet;
  const bytes = Buffer.concat(packet.parts);
  expect(bytes.length).toBe(packet.total);
  expect(bytes.length % 8).toBe(0);
  return bytes;
}

test('head, body, meta and tensors come back, at any alignment', () =>
  expectNoLeak(() => {
    const x = tf.tensor1d([1, 2, 3]);
    const s = tf.tensor1d(['a', 'bc']);
    const bytes = bytesOf({ x, list: [s, x] }, { key: 1 });
    for (let shift = 0; shift < 8; shift++) {
      const moved = Buffer.concat([Buffer.alloc(shift), bytes]).subarray(shift);
      const { head, body, meta, tensors } = unpack(moved, new Map());
      expect([head, meta]).toEqual([['h'], { key: 1 }]);
      expect(tensors.map((t) => t.dtype)).toEqual(['float32', 'string']);
      expect((body as { x: tf.Tensor }).x).toBe(tensors[0]);
      expect([...(tensors[0]?.dataSync() ?? [])]).toEqual([1, 2, 3]);
      tf.dispose([...tensors]);
    }
    tf.dispose([x, s]);
  }));

test('long binary data travels beside the values, from any alignment to memory of its own', () =>
  expectNoLeak(() => {
    const x = tf.tensor1d([1, 2, 3]);
    const sent = [
      Float64Array.from({ length: 2000 }, (_, i) => i),
      x,
      new Uint8Array(9001).fill(7),
    ];
    const bytes = bytesOf(sent);
    const { parts } = pack({ head: null, body: sent, bodyName: 'it' }, [], () => null) as Packet;
    expect(parts.map(({ byteLength }) => byteLength)).toEqual([
      expect.any(Number),
      12,
      4,
      16_000,
      9001,
      7,
    ]);
    expect(parts[0]?.byteLength).toBeLessThan(200);
    for (let shift = 0; shift < 8; shift++) {
      const moved = Buffer.concat([Buffer.alloc(shift), bytes]).subarray(shift);
      const { body, tensors } = unpack(moved, new Map());
      const [floats, y, octets] = body as [Float64Array, tf.Tensor, Uint8Array];
      expect(y).toBe(tensors[0]);
      expect([floats, octets]).toEqual([sent[0], sent[2]]);
      expect([floats.byteOffset, floats.buffer.byteLength, octets.buffer.byteLength]).toEqual([
        0, 16_000, 9001,
      ]);
      y.dispose();
    }
    x.dispose();
  }));

test('one piece of binary data cannot be had twice, nor what is not there', () => {
  const bytes = bytesOf([new Uint8Array(5000), new Uint8Array(5001)]);
  const second = bytes.indexOf(Buffer.from([16, 0, 1, 0, 0, 0]));
  expect(second).toBeGreaterThan(0);
  for (const number of [0, 2]) {
    bytes[second + 2] = number;
    expect(() => unpack(bytes, new Map())).toThrow(/^protocol_error: .*binary data of no class/);
  }
});

test('interceptors see the tensors of the body once each', () =>
  expectNoLeak(() => {
    const x = tf.scalar(1);
    const seen: unknown[] = [];
    void pack({ head: null, body: [x, x], bodyName: 'it' }, [], (tensors) => seen.push(...tensors));
    expect(seen).toEqual([x]);
    x.dispose();
  }));

test('a freed tensor and what cannot be sent are refused', () =>
  expectNoLeak(() => {
    const x = tf.scalar(1);
    x.dispose();
    expect(() => bytesOf([x])).toThrow(/^tensor_freed/);
    expect(() => bytesOf([() => {}])).toThrow(/^unsupported_value: it\[0\]/);
  }));

test('random, cut and flipped packets are refused and leave no tensors', () =>
  expectNoLeak(() => {
    const x = tf.tensor2d([1, 2, 3, 4], [2, 2]);
    const good = bytesOf({ x, list: [1, 'text', [x]], b: new Int16Array(2100) }, { timeoutMs: 1 });
    x.dispose();
    const check = (bytes: Uint8Array): void => {
      try {
        tf.dispose([...unpack(bytes, new Map()).tensors]);
      } catch (error) {
        // A changed byte can make a value one of a class that nobody registered.
        const isRefused = isGradwireError(error, 'unknown_function');
        if (!isRefused && !isGradwireError(error, 'protocol_error')) throw error;
      }
    };
    fc.assert(
      fc.property(fc.uint8Array(), fc.nat(), fc.nat(), fc.nat(), (noise, cut, at, bit) => {
        check(noise);
        check(good.subarray(0, cut % good.length));
        const spoilt = Buffer.from(good);
        // Most of the time in the values and the table.
        const i = at % (bit % 2 === 0 ? 200 : good.length);
        spoilt[i] = (spoilt[i] ?? 0) ^ (1 << (bit % 8));
        check(spoilt);
      }),
      runs(500),
    );
  }));
