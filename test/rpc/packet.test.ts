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

test('random, cut and flipped packets are a protocol_error and leave no tensors', () =>
  expectNoLeak(() => {
    const x = tf.tensor2d([1, 2, 3, 4], [2, 2]);
    const good = bytesOf({ x, list: [1, 'text', [x]] }, { timeoutMs: 1 });
    x.dispose();
    const check = (bytes: Uint8Array): void => {
      try {
        tf.dispose([...unpack(bytes, new Map()).tensors]);
      } catch (error) {
        if (!isGradwireError(error, 'protocol_error')) throw error;
      }
    };
    fc.assert(
      fc.property(fc.uint8Array(), fc.nat(), fc.nat(), fc.nat(), (noise, cut, at, bit) => {
        check(noise);
        check(good.subarray(0, cut % good.length));
        const spoilt = Buffer.from(good);
        const i = at % good.length;
        spoilt[i] = (spoilt[i] ?? 0) ^ (1 << (bit % 8));
        check(spoilt);
      }),
      runs(500),
    );
  }));
