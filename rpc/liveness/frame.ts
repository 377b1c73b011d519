/**
 * What passes on a liveness link, and who may speak on it: frames of one fixed size, each with a proof that its sender knows the
 * token of the run, which itself never crosses. The listener sends a challenge; who dialled answers with a `hello` that binds
 * the session to the two incarnations; from then on each frame carries a proof over its number and direction, so that none
 * can be made up, repeated or moved to another session. Pure: no sockets, no clock.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** Length of every frame: `version type 0 0 number(4) payload(104) proof(16)`. */
export const FRAME_BYTES = 128;
const VERSION = 1;
const PAYLOAD = 8;
const PROOF = 112;
export const NONCE_BYTES = 32;
const DIGEST_BYTES = 16;

/** The types of frames, with their payloads. */
const TYPES = {
  challenge: 1, // nonce(32)
  hello: 2, //     nonce(32), who dials (16), whom it watches (16), its rank u32, ms between beats u32
  welcome: 3, //   nothing
  beat: 4, //      for how many ms the main thread has been computing u32
  accuse: 5, //    incarnation of one that the sender takes for dead (16)
  fenced: 6, //    the receiver counts as dead here, after so many ms of silence u32
} as const;

export type FrameType = keyof typeof TYPES;

const NAMES = new Map<number, FrameType>(
  Object.entries(TYPES).map(([name, id]) => [id, name as FrameType]),
);

/** Says why a frame is refused; its link ends. */
export class LinkFault extends Error {}

/** Names an incarnation in frames, whatever its text. */
export function digestOf(incarnation: string): string {
  const digest = createHash('sha256').update(incarnation).digest();
  return digest.toString('hex', 0, DIGEST_BYTES);
}

/** Makes the challenge of a listener. @param nonce `NONCE_BYTES` of chance */
export function challenge(nonce: Uint8Array): Buffer {
  const frame = blank('challenge', 0);
  frame.set(nonce, PAYLOAD);
  return frame;
}

/** @throws LinkFault */
export function readChallenge(frame: Buffer): Buffer {
  expectType(frame, 'challenge');
  return copy(frame, PAYLOAD, NONCE_BYTES);
}

/** Who asks for beats, and of whom. */
export interface Hello {
  readonly nonce: Uint8Array;
  /** Digests of the incarnations. */
  readonly from: string;
  readonly to: string;
  readonly rank: number;
  readonly intervalMs: number;
}

export function hello({ nonce, from, to, rank, intervalMs }: Hello, session: SessionKeys): Buffer {
  const frame = blank('hello', 0);
  frame.set(nonce, PAYLOAD);
  frame.set(Buffer.from(from, 'hex'), PAYLOAD + 32);
  frame.set(Buffer.from(to, 'hex'), PAYLOAD + 48);
  frame.writeUInt32LE(rank, PAYLOAD + 64);
  frame.writeUInt32LE(intervalMs, PAYLOAD + 68);
  return session.prove(frame, 'dialler');
}

/** What a hello says; to be believed only once `SessionKeys.check` has passed. @throws LinkFault */
export function readHello(frame: Buffer): Hello {
  expectType(frame, 'hello');
  return {
    nonce: copy(frame, PAYLOAD, NONCE_BYTES),
    from: frame.toString('hex', PAYLOAD + 32, PAYLOAD + 48),
    to: frame.toString('hex', PAYLOAD + 48, PAYLOAD + 64),
    rank: frame.readUInt32LE(PAYLOAD + 64),
    intervalMs: frame.readUInt32LE(PAYLOAD + 68),
  };
}

/** What is said on a session that is open. */
export type Said =
  | { readonly type: 'welcome' }
  | { readonly type: 'beat'; readonly busyMs: number }
  | { readonly type: 'accuse'; readonly about: string }
  | { readonly type: 'fenced'; readonly silentMs: number };

type End = 'dialler' | 'listener';

/** The proofs of one session. */
export class SessionKeys {
  readonly #key: Buffer;

  /** @param hello of the dialler, without its proof */
  constructor(
    token: string,
    challenge: Uint8Array,
    { nonce, from, to }: Omit<Hello, 'rank' | 'intervalMs'>,
  ) {
    this.#key = createHmac('sha256', token)
      .update('gradwire liveness\n')
      .update(challenge)
      .update(nonce)
      .update(`${from}${to}`)
      .digest();
  }

  prove(frame: Buffer, by: End): Buffer {
    frame.set(this.#proof(frame, by), PROOF);
    return frame;
  }

  /** @throws LinkFault unless `by` has sent this frame on this session */
  check(frame: Buffer, by: End): void {
    if (timingSafeEqual(frame.subarray(PROOF, FRAME_BYTES), this.#proof(frame, by))) return;
    throw new LinkFault('a frame without proof of the token');
  }

  #proof(frame: Buffer, by: End): Buffer {
    const mac = createHmac('sha256', this.#key).update(by).update(frame.subarray(0, PROOF));
    return mac.digest().subarray(0, FRAME_BYTES - PROOF);
  }
}

/** One end's frames of an open session: numbers those that leave, and takes those that come in order and once. */
export class Session {
  readonly #keys: SessionKeys;
  readonly #self: End;
  #sent = 0;
  #received = 0;

  constructor(keys: SessionKeys, self: End) {
    this.#keys = keys;
    this.#self = self;
  }

  write(said: Said): Buffer {
    const frame = blank(said.type, ++this.#sent);
    if (said.type === 'beat') frame.writeUInt32LE(number32(said.busyMs), PAYLOAD);
    else if (said.type === 'fenced') frame.writeUInt32LE(number32(said.silentMs), PAYLOAD);
    else if (said.type === 'accuse') frame.set(Buffer.from(said.about, 'hex'), PAYLOAD);
    return this.#keys.prove(frame, this.#self);
  }

  /** @throws LinkFault */
  read(frame: Buffer): Said {
    this.#keys.check(frame, this.#self === 'dialler' ? 'listener' : 'dialler');
    const type = typeOf(frame);
    if (frame.readUInt32LE(4) !== ++this.#received) throw new LinkFault('a frame out of order');
    switch (type) {
      case 'welcome':
        return { type };
      case 'beat':
        return { type, busyMs: frame.readUInt32LE(PAYLOAD) };
      case 'accuse':
        return { type, about: frame.toString('hex', PAYLOAD, PAYLOAD + DIGEST_BYTES) };
      case 'fenced':
        return { type, silentMs: frame.readUInt32LE(PAYLOAD) };
      case 'challenge':
      case 'hello':
        throw new LinkFault(`a ${type} on an open session`);
    }
  }
}

/** Cuts what arrives into frames; never holds more than one that is not whole. */
export class FrameCutter {
  readonly #partial: Buffer = Buffer.alloc(FRAME_BYTES);
  #length = 0;

  /** Calls `take` for each frame that is whole; the frame is valid during the call only. */
  push(chunk: Uint8Array, take: (frame: Buffer) => void): void {
    for (let at = 0; at < chunk.byteLength; ) {
      const part = chunk.subarray(at, at + FRAME_BYTES - this.#length);
      this.#partial.set(part, this.#length);
      this.#length += part.byteLength;
      at += part.byteLength;
      if (this.#length < FRAME_BYTES) return;
      this.#length = 0;
      take(this.#partial);
    }
  }
}

function blank(type: FrameType, number: number): Buffer {
  const frame = Buffer.alloc(FRAME_BYTES);
  frame[0] = VERSION;
  frame[1] = TYPES[type];
  frame.writeUInt32LE(number % 2 ** 32, 4);
  return frame;
}

function typeOf(frame: Buffer): FrameType {
  const type = NAMES.get(frame[1] ?? 0);
  if (frame[0] !== VERSION || type === undefined)
    throw new LinkFault('not a frame of this version');
  return type;
}

function expectType(frame: Buffer, type: FrameType): void {
  if (typeOf(frame) !== type) throw new LinkFault(`a ${typeOf(frame)} in place of a ${type}`);
}

function copy(frame: Buffer, at: number, length: number): Buffer {
  return Buffer.from(frame.subarray(at, at + length));
}

function number32(ms: number): number {
  return Math.min(Math.max(0, Math.round(ms)), 2 ** 32 - 1);
}
