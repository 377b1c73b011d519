/**
 * The word that contexts are over, told to each peer until that one has heard it: a context whose end got lost would stay as
 * long as the connection. What is told meanwhile goes along. Knows no contexts, and sends by a function that it is given.
 */
import { ControlStream, type Deadline, Deadlines } from '../rpc/internal.ts';
import type { ContextId } from './context-id.ts';
import { readReleases } from './heads.ts';

const NEVER = Number.POSITIVE_INFINITY;

interface Line {
  readonly stream: ControlStream<ContextId>;
  timer: Deadline | undefined;
  timerAt: number;
}

export class ReleaseNotices {
  readonly #send: (peer: number, head: readonly unknown[]) => void;
  readonly #isConnected: (peer: number) => boolean;
  readonly #lines = new Map<number, Line>();
  readonly #deadlines = new Deadlines();
  #isClosed = false;

  constructor({
    send,
    isConnected,
  }: {
    readonly send: (peer: number, head: readonly unknown[]) => void;
    readonly isConnected: (peer: number) => boolean;
  }) {
    this.#send = send;
    this.#isConnected = isConnected;
  }

  /** Whether all peers have heard all that they were told. */
  get isSettled(): boolean {
    return [...this.#lines.values()].every(({ stream }) => stream.isSettled);
  }

  /** The context is over; a peer that is gone need not hear it. */
  tell(peer: number, id: ContextId): void {
    if (this.#isClosed || !this.#isConnected(peer)) return;
    this.#to(peer).stream.push(id);
    this.#flush(peer);
  }

  /** A message of `peer` has come. @returns what it says for the first time @throws GradwireError `protocol_error` */
  heard(peer: number, fields: unknown): readonly ContextId[] {
    if (this.#isClosed) return [];
    const news = this.#to(peer).stream.accept(readReleases(fields), performance.now());
    this.#flush(peer);
    return news;
  }

  /** Who has its rank next begins anew. */
  peerGone(peer: number): void {
    this.#lines.get(peer)?.timer?.cancel();
    this.#lines.delete(peer);
  }

  close(): void {
    this.#isClosed = true;
    this.#lines.clear();
    this.#deadlines.close();
  }

  #to(peer: number): Line {
    const known = this.#lines.get(peer);
    if (known !== undefined) return known;
    const line = { stream: new ControlStream<ContextId>(), timer: undefined, timerAt: NEVER };
    this.#lines.set(peer, line);
    return line;
  }

  #flush(peer: number): void {
    const line = this.#lines.get(peer);
    if (line === undefined) return;
    if (!this.#isConnected(peer)) return this.peerGone(peer);
    const { stream } = line;
    for (let packet = stream.take(performance.now()); packet !== undefined; ) {
      this.#send(peer, [packet.first, packet.received, ...packet.entries]);
      packet = stream.take(performance.now());
    }
    // A timer that rings too early finds nothing, and is set anew.
    if (stream.dueAt >= line.timerAt) return;
    line.timer?.cancel();
    line.timerAt = stream.dueAt;
    line.timer = this.#deadlines.add(Math.max(0, stream.dueAt - performance.now()), () => {
      line.timerAt = NEVER;
      if (this.#lines.get(peer) === line) this.#flush(peer);
    });
  }
}
