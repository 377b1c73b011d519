import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ByteReader, ByteWriter } from '../../rpc/bytes.ts';

const anyString = fc.string({
  unit: fc.integer({ min: 0, max: 0xffff }).map((c) => String.fromCharCode(c)),
});

test('what is written is read, lone surrogates too', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(anyString, fc.string({ unit: 'binary' }), fc.double(), fc.uint8Array())),
      (values) => {
        const writer = new ByteWriter();
        for (const value of values) {
          if (typeof value === 'string') writer.string(value);
          else if (typeof value === 'number') writer.f64(value);
          else writer.bytes(value);
        }
        const reader = new ByteReader(writer.view());
        for (const value of values) {
          if (typeof value === 'string') expect(reader.string()).toBe(value);
          else if (typeof value === 'number') expect(reader.f64()).toBe(value);
          else expect(reader.bytes()).toEqual(value);
        }
        expect(() => reader.u8()).toThrow(/^protocol_error/);
      },
    ),
  );
});

test('integers keep their range', () => {
  const writer = new ByteWriter();
  writer.u8(255);
  writer.u32(0xffff_ffff);
  writer.i32(-(2 ** 31));
  expect(writer.length).toBe(9);
  const reader = new ByteReader(writer.view());
  expect([reader.u8(), reader.u32(), reader.i32()]).toEqual([255, 0xffff_ffff, -(2 ** 31)]);
});

test('bytes are read as a view', () => {
  const writer = new ByteWriter();
  writer.bytes(new Uint8Array([1, 2]));
  const bytes = new ByteReader(writer.view()).bytes();
  writer.view().fill(0);
  expect([...bytes]).toEqual([0, 0]);
});

test('counts and lengths beyond the end are refused before anything is allocated', () => {
  const huge = Buffer.from([0xff, 0xff, 0xff, 0x7f, 0, 0]);
  expect(() => new ByteReader(huge).count(1)).toThrow(/^protocol_error: .*2147483647 elements/);
  for (const top of [0x7f, 0xff, 0x80, 0x9f]) {
    huge[3] = top;
    expect(() => new ByteReader(huge).string()).toThrow(/^protocol_error/);
    expect(() => new ByteReader(huge).bytes()).toThrow(/^protocol_error/);
  }
});
