/** Malformed messages: a recorded one with one thing, or a few, changed in its values, its table of tensors or its bytes. */
import { MESSAGES, type MessageKind } from '../../rpc/message.ts';
import { hostileFloat, hostileNumber, hostileText, hostileValue } from './boundaries.ts';
import type { Dice } from './dice.ts';
import {
  isNumber,
  join,
  type Parts,
  type Recorded,
  recordedLayout,
  split,
} from './message-parts.ts';

type Mutation = (dice: Dice, message: Recorded, others: readonly Recorded[]) => Recorded;

const KINDS = Object.keys(MESSAGES) as MessageKind[];

/** Puts `bytes` in the place of a part of `buffer`. */
function spliced(buffer: Buffer, [start, end]: readonly [number, number], bytes: Buffer): Buffer {
  return Buffer.concat([buffer.subarray(0, start), bytes, buffer.subarray(end)]);
}

/** One region of a message of values changed. */
function changed(
  message: Recorded,
  region: keyof Parts,
  change: (bytes: Buffer) => Buffer,
): Recorded {
  const parts = split(message);
  return { ...message, bytes: join({ ...parts, [region]: change(parts[region]) }) };
}

/** Of large messages only the values are worth the time. */
function regionOf(dice: Dice): 'values' | 'table' {
  return dice.chance(0.7) ? 'values' : 'table';
}

const overwriteField: Mutation = (dice, message) =>
  changed(message, regionOf(dice), (bytes) => {
    const { fields } = recordedLayout(bytes);
    const { at, bytes: size } = dice.pick(fields);
    const copy = Buffer.from(bytes);
    if (size === 1) copy.writeUInt8(hostileNumber(dice, 8), at);
    else if (size === 4) copy.writeUInt32LE(hostileNumber(dice, 32), at);
    else copy.writeDoubleLE(hostileFloat(dice), at);
    return copy;
  });

const replaceValue: Mutation = (dice, message) =>
  changed(message, regionOf(dice), (bytes) => {
    const { start, end } = dice.pick(recordedLayout(bytes).spans);
    return spliced(bytes, [start, end], hostileValue(dice));
  });

const replaceText: Mutation = (dice, message) =>
  changed(message, regionOf(dice), (bytes) => {
    const texts = recordedLayout(bytes).spans.filter(({ text }) => text !== undefined);
    if (texts.length === 0) return Buffer.concat([bytes, hostileText(dice)]);
    const { start, end } = dice.pick(texts);
    return spliced(bytes, [start, end], hostileText(dice));
  });

const transplant: Mutation = (dice, message, others) => {
  const donor = split(dice.pick(others.filter(({ kind }) => !isNumber(kind))));
  return changed(message, regionOf(dice), (bytes) => {
    const { start, end } = dice.pick(recordedLayout(bytes).spans);
    const source = dice.chance(0.8) ? donor.values : donor.table;
    const graft = dice.pick(recordedLayout(source).spans);
    return spliced(bytes, [start, end], source.subarray(graft.start, graft.end));
  });
};

const otherTable: Mutation = (dice, message, others) => {
  const donor = split(dice.pick(others.filter(({ kind }) => !isNumber(kind))));
  const own = split(message);
  const rest = dice.chance(0.5) ? own.rest : donor.rest;
  return { ...message, bytes: join({ values: own.values, table: donor.table, rest }) };
};

const prefix: Mutation = (dice, message) => {
  const bytes = Buffer.from(message.bytes);
  bytes.writeUInt32LE(hostileNumber(dice, 32), dice.chance(0.5) ? 0 : 4);
  return { ...message, bytes };
};

const truncate: Mutation = (dice, message) => ({
  ...message,
  bytes: message.bytes.subarray(0, dice.below(message.bytes.length)),
});

const extend: Mutation = (dice, message, others) => ({
  ...message,
  bytes: Buffer.concat([message.bytes, dice.pick(others).bytes.subarray(0, 1 + dice.below(64))]),
});

const flip: Mutation = (dice, message) => {
  const bytes = Buffer.from(message.bytes);
  for (let flips = dice.below(8); flips >= 0; flips--) {
    const at = dice.below(Math.min(bytes.length, 4096));
    bytes[at] = (bytes[at] ?? 0) ^ (1 << dice.below(8));
  }
  return { ...message, bytes };
};

const otherKind: Mutation = (dice, message) => ({ ...message, kind: dice.pick(KINDS) });

const otherId: Mutation = (dice, message) => ({
  ...message,
  id: dice.chance(0.4) ? 0 : dice.chance(0.5) ? 1 + dice.below(40) : hostileNumber(dice, 32),
});

const otherNumber: Mutation = (dice, message) => {
  const bytes = Buffer.alloc(6);
  bytes.writeUIntLE(hostileNumber(dice, 48), 0, 6);
  return { ...message, bytes: dice.chance(0.8) ? bytes : bytes.subarray(dice.below(6)) };
};

const OF_VALUES: readonly (readonly [string, Mutation])[] = Object.entries({
  overwriteField,
  replaceValue,
  replaceText,
  transplant,
  otherTable,
  prefix,
  truncate,
  extend,
  flip,
  otherKind,
  otherId,
});

const OF_NUMBERS: readonly (readonly [string, Mutation])[] = Object.entries({
  otherNumber,
  otherKind,
  otherId,
  truncate,
  flip,
});

export interface Malformed extends Recorded {
  readonly how: string;
}

/** A message that differs from a recorded one; now and then in several ways. */
export function malformed(dice: Dice, message: Recorded, others: readonly Recorded[]): Malformed {
  const [name, mutation] = dice.pick(isNumber(message.kind) ? OF_NUMBERS : OF_VALUES);
  const once = mutation(dice, message, others);
  const how = `${message.kind} ${name}`;
  if (!dice.chance(0.15)) return { ...once, how };
  const [second, again] = dice.pick(
    Object.entries({ truncate, flip, otherKind, otherId } as Record<string, Mutation>),
  );
  return once.bytes.length === 0
    ? { ...once, how }
    : { ...again(dice, once, others), how: `${how}, ${second}` };
}
