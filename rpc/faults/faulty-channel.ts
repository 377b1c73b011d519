/**
 * A channel that injects faults: stands between a worker and its channel to a peer, where messages are whole. What is to
 * happen is decided by the plan; here it happens. Exists only on workers that have a plan.
 */
import { writeSync } from 'node:fs';
import { GradwireError } from '../../errors.ts';
import { BoundedSet } from '../bounded-set.ts';
import { Channel, type ChannelHandlers, type PeerChannel } from '../channel.ts';
import { byTag, COMMON_EXTENSIONS } from '../extensions.ts';
import type { MessageKind } from '../message.ts';
import type { Outgoing } from '../outbox.ts';
import { type Packet, unpack } from '../packet.ts';
import { type NoticeKind, readNotices } from '../reference-notices.ts';
import type { Connection } from '../transport.ts';
import { DelayLine } from './delay-line.ts';
import type { Verdict, WorkerFaults } from './fault-plan.ts';

/** Longest time that a timer can count, in ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** Requests whose answer is to be lost that are remembered. */
const MAX_DOOMED = 10_000;
/** How long a process that has sent itself a signal waits for it. */
const SIGNAL_MS = 200;
const EXTENSIONS = byTag(COMMON_EXTENSIONS);

export interface FaultyOptions {
  readonly faults: WorkerFaults;
  /** Rank of the other end. */
  readonly peer: number;
  readonly peerName: () => string;
  readonly maxMessageBytes: number;
  /** A message is lost on arrival: lets go of what it brought. Must not throw. */
  lost(bytes: Uint8Array): void;
  /** Requests of this worker whose answers are to be lost. */
  readonly doomed: Doomed;
}

/** Ids of requests, which differ over all peers of a worker. */
export type Doomed = BoundedSet<number>;

export function noneDoomed(): Doomed {
  return new BoundedSet(MAX_DOOMED);
}

export class FaultyChannel implements PeerChannel {
  readonly #options: FaultyOptions;
  readonly #handlers: ChannelHandlers;
  readonly #inner: PeerChannel;
  /** What is to be done later: sent on, or handed over. */
  readonly #later = new DelayLine<() => void>();
  #timer: NodeJS.Timeout | undefined;

  constructor(connection: Connection, handlers: ChannelHandlers, options: FaultyOptions) {
    this.#options = options;
    this.#handlers = handlers;
    this.#inner = new Channel(connection, options.maxMessageBytes, {
      message: (kind, id, bytes) => this.#arrived(kind, id, bytes),
      left: () => handlers.left(),
      close: (isFarewell, reason) => {
        clearTimeout(this.#timer);
        this.#later.take(Number.POSITIVE_INFINITY);
        handlers.close(isFarewell, reason);
      },
    });
  }

  get isOpen(): boolean {
    return this.#inner.isOpen;
  }

  get queuedBytes(): number {
    return this.#inner.queuedBytes;
  }

  /** @throws GradwireError as `Channel` does; `unavailable` by a rule `fail` */
  send(message: Outgoing): void {
    const { kind, id, order = [] } = message;
    const { faults, peer, peerName } = this.#options;
    const verdict = faults.judge({
      direction: 'sent',
      kind,
      peer,
      notices: () => noticesIn(Buffer.concat(message.packet.parts)),
    });
    const mark = idKey('sent', kind, id);
    const keys = mark === undefined ? order : [...order, mark];
    if (verdict.size === 0 && !this.#later.isBehind(keys)) return this.#inner.send(message);
    this.#strike(verdict, kind);
    if (verdict.has('fail')) {
      const text = `a fault was injected: the ${kind} to ${peerName()} is not sent`;
      const details = { peer: peerName(), stage: 'send', maybeExecuted: false };
      throw new GradwireError('unavailable', text, details);
    }
    if (verdict.has('drop')) return message.lost?.();
    if (verdict.has('dropReply')) this.#options.doomed.add(id);
    // The message itself is out of its sender's hands from now on; what travels is this.
    const changeAt = verdict.get('corrupt');
    const packet = changeAt === undefined ? message.packet : changed(message.packet, changeAt);
    const copy: Outgoing = { kind, id, packet, order: message.order };
    const delayMs = verdict.get('delay');
    const isItself = packet === message.packet;
    if (isItself && delayMs === undefined && !this.#later.isBehind(keys)) {
      if (verdict.has('duplicate')) message.followUp ??= copy;
      return this.#inner.send(message);
    }
    if (verdict.has('duplicate')) copy.followUp = { ...copy };
    message.stage = 'gone';
    message.left?.();
    this.#delay(() => this.isOpen && this.#inner.send(copy), keys, delayMs ?? 0);
  }

  withdraw(message: Outgoing): boolean {
    return this.#inner.withdraw(message);
  }

  /** Sends what is delayed at once. */
  close(): Promise<void> {
    this.#release(Number.POSITIVE_INFINITY);
    return this.#inner.close();
  }

  cut(reason: Error): void {
    this.#inner.cut(reason);
  }

  #arrived(kind: MessageKind, id: number, bytes: Uint8Array): void {
    const { faults, peer, doomed, lost } = this.#options;
    const verdict = faults.judge({
      direction: 'received',
      kind,
      peer,
      notices: () => noticesIn(bytes),
    });
    this.#strike(verdict, kind);
    const isAnswer = kind === 'reply' || kind === 'failure';
    if (verdict.has('drop') || (isAnswer && doomed.has(id))) return lost(bytes);
    const mark = idKey('received', kind, id);
    // How the sender ordered them is not known here: what comes after a delayed message may pass it, of the same id not.
    const keys = mark === undefined ? [] : [mark];
    const delayMs = verdict.get('delay');
    const times = verdict.has('duplicate') ? 2 : 1;
    const changeAt = verdict.get('corrupt');
    const content = changeAt === undefined ? bytes : withBitFlipped(bytes, changeAt);
    if (delayMs === undefined && !this.#later.isBehind(keys)) {
      for (let time = 0; time < times; time++) this.#handlers.message(kind, id, content);
      return;
    }
    const copy = Uint8Array.from(content);
    this.#delay(
      () => {
        for (let time = 0; time < times; time++) this.#handlers.message(kind, id, copy);
      },
      keys,
      delayMs ?? 0,
    );
  }

  #delay(work: () => void, keys: readonly string[], delayMs: number): void {
    this.#later.push(work, keys, performance.now() + delayMs);
    this.#arm();
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const { dueAt } = this.#later;
    if (dueAt === Number.POSITIVE_INFINITY) return;
    const waitMs = Math.min(Math.max(0, dueAt - performance.now()), MAX_TIMER_MS);
    this.#timer = setTimeout(() => this.#release(performance.now()), Math.ceil(waitMs));
  }

  #release(now: number): void {
    for (const work of this.#later.take(now)) work();
    this.#arm();
  }

  /** Ends or stops this process, if that is to happen. */
  #strike(verdict: Verdict, kind: MessageKind): void {
    for (const [action, signal] of SIGNALS) {
      const delayMs = verdict.get(action);
      if (delayMs === undefined) continue;
      const text = `gradwire: a fault was injected: ${signal} to ${this.#options.faults.worker} at a ${kind}\n`;
      if (delayMs === 0) strike(signal, text);
      else setTimeout(() => strike(signal, text), delayMs);
    }
  }
}

const SIGNALS = [
  ['kill', 'SIGKILL'],
  ['stop', 'SIGSTOP'],
] as const;

function strike(signal: 'SIGKILL' | 'SIGSTOP', text: string): void {
  try {
    writeSync(process.stderr.fd, text);
  } catch {
    // Nobody reads it.
  }
  process.kill(process.pid, signal);
  // The signal may reach another thread first: nothing goes on here meanwhile.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SIGNAL_MS);
}

function changed({ parts, total }: Packet, at: number): Packet {
  return { parts: [withBitFlipped(Buffer.concat(parts), at)], total };
}

/** @param at which bit, as a share of all */
function withBitFlipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const bit = Math.floor((at % 1) * copy.length * 8);
  const index = bit >> 3;
  copy[index] = (copy[index] ?? 0) ^ (1 << (bit & 7));
  return copy;
}

/** What is about a request stays behind it: its cancelling, what answers it, and its items. */
function idKey(direction: 'sent' | 'received', kind: MessageKind, id: number): string | undefined {
  if (id === 0) return undefined;
  const isAnswer = kind === 'reply' || kind === 'failure' || kind === 'streamItem';
  const isOurs = isAnswer === (direction === 'received');
  return `${isOurs ? 'ours' : 'theirs'} ${id}`;
}

function noticesIn(bytes: Uint8Array): readonly NoticeKind[] {
  return readNotices(unpack(bytes, EXTENSIONS).head).entries.map(([kind]) => kind);
}
