/**
 * One worker's share of the liveness thread: says where this worker can be watched, watches those that it is connected to,
 * and tells what became of them. Beats and silence are the thread's business (liveness/), connections the endpoint's.
 */
import { GradwireError } from '../errors.ts';
import type { Report, WorkerKey } from './liveness/orders.ts';
import { livenessThread } from './liveness/threads.ts';
import { cutOff, fencedOff, type PeerLoss, silenceOf } from './peer-loss.ts';
import type { TlsCredentials } from './tls-credentials.ts';

/** A peer, as far as watching it goes. */
export interface Watched {
  readonly rank: number;
  readonly incarnation: string;
  /** Where it can be watched; nothing: it cannot. */
  readonly liveness?: string | undefined;
}

export interface LivenessHost {
  suspected(rank: number): void;
  /** No longer suspected. */
  alive(rank: number): void;
  /** A peer is dead, or has given this worker up: nothing goes to it or comes from it any more. */
  lost(rank: number, loss: PeerLoss): void;
  /** The connection to a peer is over, and more has become known of why. */
  explained(rank: number, loss: PeerLoss): void;
}

export interface LivenessOptions {
  readonly rank: number;
  readonly incarnation: string;
  /** Address to listen on, and under which the others reach this worker. */
  readonly host: string;
  readonly livenessPort: number;
  readonly tls?: TlsCredentials | undefined;
  readonly heartbeatMs: number;
  readonly deadAfterMs: number;
}

interface Peer extends Watched {
  isSuspected: boolean;
}

export class Liveness {
  /** Where this worker can be watched, host:port. @throws GradwireError (as rejection) `address_in_use`, `invalid_argument` */
  readonly address: Promise<string>;
  readonly #thread = livenessThread();
  readonly #key: WorkerKey;
  readonly #options: LivenessOptions;
  readonly #peers = new Map<number, Peer>();
  /** Incarnations of those whose connection broke. */
  readonly #broken = new Map<number, string>();
  #host: LivenessHost | undefined;

  constructor(options: LivenessOptions) {
    this.#options = options;
    const { host, livenessPort: port, rank, incarnation, tls } = options;
    let settle: (report: Report) => void = () => {};
    this.address = new Promise((resolve, reject) => {
      settle = (report) => {
        if (report.type === 'listening') {
          resolve(`${host.includes(':') ? `[${host}]` : host}:${report.port}`);
        } else if (report.type === 'refused') reject(refusal(options, report));
      };
    });
    // Whoever joins meanwhile may fail for another reason first.
    this.address.catch(() => {});
    this.#key = this.#thread.add((report) => {
      settle(report);
      this.#take(report);
    });
    const worker = this.#key;
    this.#thread.send({ type: 'host', worker, rank, incarnation, host, port, tls });
  }

  /** From now on peers can be watched, and others let in. @param token of the run */
  open(token: string): void {
    this.#thread.send({ type: 'token', worker: this.#key, token });
  }

  /** Tells what becomes of the peers. */
  tell(host: LivenessHost): void {
    this.#host = host;
  }

  /** Watches whoever has this rank from now on. */
  watch({ rank, incarnation, liveness: address }: Watched): void {
    this.unwatch(rank, false);
    this.#broken.delete(rank);
    if (address === undefined || address === '') return;
    this.#peers.set(rank, { rank, incarnation, isSuspected: false });
    const { heartbeatMs, deadAfterMs } = this.#options;
    const limits = { heartbeatMs, deadAfterMs };
    const worker = this.#key;
    this.#thread.send({ type: 'watch', worker, rank, incarnation, address, ...limits });
  }

  /** The connection to this rank is over. */
  unwatch(rank: number, isBroken: boolean): void {
    const peer = this.#peers.get(rank);
    if (peer === undefined) return;
    this.#peers.delete(rank);
    if (isBroken) this.#broken.set(rank, peer.incarnation);
    this.#thread.send({ type: 'unwatch', worker: this.#key, rank, isBroken });
  }

  /** Whether this rank can be watched, and gives signs of life. */
  vouchesFor(rank: number): boolean {
    return this.#peers.get(rank)?.isSuspected === false;
  }

  /** Whether signs of life are to be expected of this rank. */
  watches(rank: number): boolean {
    return this.#peers.has(rank);
  }

  /** Ranks that have been silent for longer than usual. */
  get suspected(): readonly number[] {
    return [...this.#peers.values()].filter((p) => p.isSuspected).map(({ rank }) => rank);
  }

  close(): void {
    this.#host = undefined;
    this.#peers.clear();
    this.#thread.remove(this.#key);
  }

  #take(report: Report): void {
    const host = this.#host;
    if (host === undefined || report.type === 'listening' || report.type === 'refused') return;
    const { rank, incarnation } = report;
    if (report.type === 'severed') {
      if (this.#broken.get(rank) === incarnation) host.explained(rank, cutOff());
      return;
    }
    const { silentMs } = report;
    const peer = this.#peers.get(rank);
    // Of one whose connection was over before, or of the one that had the rank before.
    if (peer === undefined || peer.incarnation !== incarnation) return;
    peer.isSuspected = report.type === 'suspected';
    if (report.type === 'suspected') host.suspected(rank);
    else if (report.type === 'alive') host.alive(rank);
    else if (report.type === 'fenced') host.lost(rank, fencedOff(silentMs));
    else {
      this.#thread.send({ type: 'fence', worker: this.#key, incarnation, silentMs });
      host.lost(rank, silenceOf(silentMs, report.note));
    }
  }
}

function refusal(
  { host, livenessPort: port }: LivenessOptions,
  { isTaken, message }: Extract<Report, { readonly type: 'refused' }>,
): GradwireError {
  const code = isTaken ? 'address_in_use' : 'invalid_argument';
  const text = isTaken
    ? `port ${port} of ${host} is taken by another process: choose another livenessPort, or 0 for any`
    : `cannot listen for signs of life on ${host}:${port}: ${message}`;
  return new GradwireError(code, text, { stage: 'init' });
}
