import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  type Frame,
  FrameReader,
  frameBytes,
  HEADER_BYTES,
  padded,
  writeHeader,
} from '../../rpc/frame.ts';
import { MESSAGES, type MessageKind } from '../../rpc/message.ts';

const LIMIT = 1024;
const kinds = Object.keys(MESSAGES) as MessageKind[];

function frame(head: Omit<Frame, 'part'>, part: Uint8Array): Buffer {
  const buffer = Buffer.alloc(frameBytes(part.length), 0xff);
  writeHeader(buffer, 0, { ...head, length: part.length });
  buffer.set(part, HEADER_BYTES);
  return buffer;
}

test('any cut of the stream gives the same frames', () => {
  const anyFrame = fc.record({
    kind: fc.constantFrom(...kinds),
    id: fc.integer({ min: 0, max: 0xffff_ffff }),
    part: fc.uint8Array({ minLength: 1, maxLength: 100 }),
    offset: fc.integer({ min: 0, max: 2 ** 40 }),
    rest: fc.nat(1000),
  });
  fc.assert(
    fc.property(
      fc.array(anyFrame),
      fc.infiniteStream(fc.integer({ min: 0, max: 60 })),
      (list, cuts) => {
        const sent = list.map(({ rest, part, ...head }) => {
          return { ...head, total: head.offset + part.length + rest, part };
        });
        const bytes = Buffer.concat(sent.map(({ part, ...head }) => frame(head, part)));
        const got: Frame[] = [];
        const reader = new FrameReader(LIMIT, (one) => {
          got.push({ ...one, part: new Uint8Array(one.part) });
        });
        for (let at = 0; at < bytes.length; ) {
          const end = at + (cuts.next().value ?? 1);
          reader.push(bytes.subarray(at, end));
          at = end;
        }
        expect(got.map((one) => ({ ...one }))).toEqual(
          sent.map((one) => expect.objectContaining({ ...one })),
        );
      },
    ),
  );
});

test('frames are padded with zeros to 8 bytes', () => {
  expect([0, 1, 8, 9].map(padded)).toEqual([0, 8, 8, 16]);
  expect(frameBytes(9)).toBe(HEADER_BYTES + 16);
  const bytes = frame({ kind: 'call', id: 1, offset: 0, total: 3 }, new Uint8Array([1, 2, 3]));
  expect([...bytes.subarray(HEADER_BYTES)]).toEqual([1, 2, 3, 0, 0, 0, 0, 0]);
});

test.each<[string, (bytes: Buffer) => void]>([
  ['an unknown kind', (b) => b.writeUInt8(200, 0)],
  ['flags', (b) => b.writeUInt8(1, 1)],
  ['reserved bytes', (b) => b.writeUInt16LE(1, 2)],
  ['a part over the limit', (b) => b.writeUInt32LE(LIMIT + 1, 4)],
  ['a part beyond the message', (b) => b.writeUIntLE(1, 18, 6)],
  ['an empty part', (b) => b.writeUInt32LE(0, 4)],
])('refuses %s before the part has come', (_, spoil) => {
  const bytes = frame({ kind: 'call', id: 1, offset: 0, total: 8 }, new Uint8Array(8));
  spoil(bytes);
  const reader = new FrameReader(LIMIT, () => {});
  expect(() => reader.push(bytes.subarray(0, HEADER_BYTES))).toThrow(/^protocol_error/);
});
