/** The ids in recorded messages as those of a later session: a worker never gives the same id twice. */

import { layoutOf } from './layout.ts';
import { isNumber, join, type Recorded, split } from './message-parts.ts';

/** References, copies and contexts; what follows their number stays. */
const ID = /^2\.(\d+)(\.\S+)?$/;

/** The message with the ids that worker 2 gave moved on by `offset`. */
export function renumbered<M extends Recorded>(message: M, offset: number): M {
  if (isNumber(message.kind) || message.bytes.length > 65_536) return message;
  const parts = split(message);
  const pieces: Buffer[] = [];
  let from = 0;
  for (const { start, end, text = '' } of layoutOf(parts.values).spans) {
    const [, number, secret = ''] = ID.exec(text) ?? [];
    if (number === undefined) continue;
    const moved = Buffer.from(`2.${Number(number) + offset}${secret}`);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(moved.length);
    pieces.push(parts.values.subarray(from, start + 1), length, moved);
    from = end;
  }
  if (from === 0) return message;
  const values = Buffer.concat([...pieces, parts.values.subarray(from)]);
  return { ...message, bytes: join({ ...parts, values }) };
}
