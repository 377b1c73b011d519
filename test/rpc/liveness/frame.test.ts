/** Frames of liveness links, and that none is taken that its session has not made. */
import { randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  challenge,
  digestOf,
  FRAME_BYTES,
  FrameCutter,
  hello,
  LinkFault,
  NONCE_BYTES,
  readChallenge,
  readHello,
  type Said,
  Session,
  SessionKeys,
} from '../../../rpc/liveness/frame.ts';
import { runs } from '../../support/runs.ts';

const WHO = { nonce: randomBytes(NONCE_BYTES), from: digestOf('x'), to: digestOf('y') };
const NONCE = randomBytes(NONCE_BYTES);

function keys(token = 'secret', who: typeof WHO = WHO): SessionKeys {
  return new SessionKeys(token, NONCE, who);
}

const SAID: readonly Said[] = [
  { type: 'welcome' },
  { type: 'beat', busyMs: 1234 },
  { type: 'accuse', about: digestOf('z') },
  { type: 'fenced', silentMs: 3000 },
];

test('what is said arrives', () => {
  expect(readChallenge(challenge(NONCE))).toEqual(NONCE);
  const greeting = { ...WHO, rank: 7, intervalMs: 500 };
  const frame = hello(greeting, keys());
  keys().check(frame, 'dialler');
  expect(readHello(frame)).toEqual(greeting);
  const [ours, theirs] = [new Session(keys(), 'dialler'), new Session(keys(), 'listener')];
  for (const said of SAID) expect(theirs.read(ours.write(said))).toEqual(said);
  for (const said of SAID) expect(ours.read(theirs.write(said))).toEqual(said);
});

test('no frame of another token, session, direction or turn', () => {
  const beat = { type: 'beat', busyMs: 0 } as const;
  const listener = (): Session => new Session(keys(), 'listener');
  const strangers = [
    new Session(keys('guess'), 'dialler'),
    new Session(keys('secret', { ...WHO, from: digestOf('other') }), 'dialler'),
    new Session(keys('secret', { ...WHO, nonce: randomBytes(NONCE_BYTES) }), 'dialler'),
    listener(),
  ];
  for (const one of strangers) expect(() => listener().read(one.write(beat))).toThrow(LinkFault);
  const first = new Session(keys(), 'dialler').write(beat);
  const session = listener();
  session.read(first);
  expect(() => session.read(first)).toThrow('out of order');
  expect(() => listener().read(hello({ ...WHO, rank: 0, intervalMs: 1 }, keys()))).toThrow(
    'out of order',
  );
});

test('a bit that changes on the way is seen', () => {
  fc.assert(
    fc.property(fc.constantFrom(...SAID), fc.nat(FRAME_BYTES * 8 - 1), (said, bit) => {
      const frame = new Session(keys(), 'dialler').write(said);
      frame[bit >> 3] = (frame[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(() => new Session(keys(), 'listener').read(frame)).toThrow(LinkFault);
    }),
    runs(200),
  );
});

test('any bytes, in any pieces, are frames or a fault', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }), (chunks) => {
      const cutter = new FrameCutter();
      const whole = Buffer.concat(chunks);
      let at = 0;
      for (const chunk of chunks) {
        cutter.push(chunk, (frame) => {
          expect(frame.equals(whole.subarray(at, at + FRAME_BYTES))).toBe(true);
          at += FRAME_BYTES;
          for (const read of [readChallenge, readHello]) {
            try {
              read(frame);
            } catch (error) {
              expect(error).toBeInstanceOf(LinkFault);
            }
          }
        });
      }
      expect(whole.length - at).toBeLessThan(FRAME_BYTES);
    }),
    runs(200),
  );
});
