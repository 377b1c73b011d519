/**
 * All that the liveness thread does, for every worker of its process: listens, watches peers, tells those that it hears of a
 * death, and tells those that come back that they were given up. Knows neither threads nor calls.
 */
import { isGradwireError } from '../../errors.ts';
import type { TlsCredentials } from '../tls-credentials.ts';
import { Beacon, type OpenSession, type Watchable } from './beacon.ts';
import type { Said } from './frame.ts';
import { digestOf } from './frame.ts';
import { Link } from './link.ts';
import type { Order, Report, WorkerKey } from './orders.ts';
import { MAX_STEP_MS, type Patience, Suspicion, type SuspicionEvent } from './suspicion.ts';

/** How often silence is looked at. */
const TICK_MS = MAX_STEP_MS / 2.5;
/** Incarnations that one worker remembers to have given up. */
const MOST_FENCED = 1_000;

type OrderOf<T extends Order['type']> = Extract<Order, { readonly type: T }>;

/** What a worker bears before it suspects, and before it gives up. */
export function patienceOf(heartbeatMs: number, deadAfterMs: number): Patience {
  return {
    suspectAfterMs: (deadAfterMs * 2) / 3,
    deadAfterMs,
    confirmAfterMs: Math.min(2 * heartbeatMs, deadAfterMs),
  };
}

interface Watch {
  readonly rank: number;
  readonly incarnation: string;
  readonly heartbeatMs: number;
  readonly link: Link;
  busyMs: number;
  /** Its connection has broken: it is watched only to see whether it lives. */
  severed?: { readonly from: number; readonly timer: NodeJS.Timeout };
}

/** One worker of this process. */
class Hosted implements Watchable {
  readonly key: WorkerKey;
  readonly rank: number;
  readonly name: string;
  token: string | undefined;
  readonly tls: TlsCredentials | undefined;
  readonly beacon: Promise<Beacon>;
  /** By the digest of their incarnation. */
  readonly watches = new Map<string, Watch>();
  readonly sessions = new Map<string, OpenSession>();
  readonly fenced = new Map<string, number>();
  readonly #heard: (from: string, said: Said) => void;

  constructor(
    { worker, rank, incarnation, tls }: OrderOf<'host'>,
    beacon: Promise<Beacon>,
    heard: (worker: Hosted, from: string, said: Said) => void,
  ) {
    this.key = worker;
    this.rank = rank;
    this.tls = tls;
    this.name = digestOf(incarnation);
    this.beacon = beacon;
    this.#heard = (from, said) => heard(this, from, said);
  }

  fencedFor(incarnation: string): number | undefined {
    return this.fenced.get(incarnation);
  }

  opened(from: string, session: OpenSession): void {
    this.sessions.get(from)?.end();
    this.sessions.set(from, session);
  }

  closed(from: string, session: OpenSession): void {
    if (this.sessions.get(from) === session) this.sessions.delete(from);
  }

  said(from: string, said: Said): void {
    this.#heard(from, said);
  }
}

export class Mesh {
  readonly #report: (report: Report) => void;
  readonly #busyMs: () => number;
  readonly #workers = new Map<WorkerKey, Hosted>();
  readonly #byName = new Map<string, Hosted>();
  /** By host, port and certificate. */
  readonly #beacons = new Map<string, { readonly opening: Promise<Beacon>; users: number }>();
  readonly #suspicion = new Suspicion();
  #ticker: NodeJS.Timeout | undefined;

  /** @param busyMs for how long the main thread has been computing */
  constructor(report: (report: Report) => void, busyMs: () => number) {
    this.#report = report;
    this.#busyMs = busyMs;
  }

  order(order: Order): void {
    if (order.type === 'host') return this.#host(order);
    const worker = this.#workers.get(order.worker);
    if (worker === undefined) return;
    if (order.type === 'token') worker.token = order.token;
    else if (order.type === 'watch') this.#watch(worker, order);
    else if (order.type === 'unwatch') {
      for (const [name, watch] of worker.watches) {
        if (watch.rank === order.rank) this.#release(worker, name, order.isBroken);
      }
    } else if (order.type === 'fence')
      this.#fence(worker, digestOf(order.incarnation), order.silentMs);
    else this.#leave(worker);
  }

  /** Peers that a worker watches. */
  linksOf(worker: WorkerKey): number {
    return this.#workers.get(worker)?.watches.size ?? 0;
  }

  /** Those that watch a worker. */
  sessionsOf(worker: WorkerKey): number {
    return this.#workers.get(worker)?.sessions.size ?? 0;
  }

  #host(order: OrderOf<'host'>): void {
    const { worker: key, host, port, tls } = order;
    const place = `${host} ${port} ${tls?.cert ?? ''}`;
    const known = this.#beacons.get(place);
    const opening = known?.opening ?? this.#open(order);
    if (known === undefined) this.#beacons.set(place, { opening, users: 1 });
    else known.users++;
    const worker = new Hosted(order, opening, (...heard) => this.#heard(...heard));
    this.#workers.set(key, worker);
    this.#byName.set(worker.name, worker);
    opening.then(
      (beacon) => this.#report({ type: 'listening', worker: key, port: beacon.port }),
      (error: Error) => {
        this.#leave(worker);
        const isTaken = isGradwireError(error, 'address_in_use');
        this.#report({ type: 'refused', worker: key, isTaken, message: error.message });
      },
    );
  }

  #open({ host, port, tls }: OrderOf<'host'>): Promise<Beacon> {
    const find = (name: string): Hosted | undefined => this.#byName.get(name);
    return Beacon.open({ host, port, tls, find, busyMs: this.#busyMs });
  }

  #watch(worker: Hosted, order: OrderOf<'watch'>): void {
    const { rank, incarnation, address, heartbeatMs, deadAfterMs } = order;
    const name = digestOf(incarnation);
    const { token, tls } = worker;
    // Workers of one process live and die together.
    if (this.#byName.has(name) || worker.watches.has(name) || token === undefined) return;
    const link = new Link({
      address,
      token,
      tls,
      from: worker.name,
      to: name,
      rank: worker.rank,
      intervalMs: heartbeatMs,
      said: (said) => this.#heard(worker, name, said),
    });
    worker.watches.set(name, { rank, incarnation, heartbeatMs, link, busyMs: 0 });
    const patience = patienceOf(heartbeatMs, deadAfterMs);
    this.#step({ type: 'watch', key: keyOf(worker, name), patience });
    this.#ticker ??= setInterval(() => this.#step({ type: 'tick' }), TICK_MS);
  }

  /** The connection to this peer is over. */
  #release(worker: Hosted, name: string, isBroken: boolean): void {
    const watch = worker.watches.get(name);
    if (watch === undefined || watch.severed !== undefined) return;
    if (!isBroken || !this.#suspicion.isAlive(keyOf(worker, name)))
      return this.#unwatch(worker, name);
    const timer = setTimeout(() => this.#unwatch(worker, name), 3 * watch.heartbeatMs);
    // A process that was killed a moment ago may have a beat under way.
    watch.severed = { from: performance.now() + watch.heartbeatMs / 2, timer };
  }

  #unwatch(worker: Hosted, name: string): void {
    clearTimeout(worker.watches.get(name)?.severed?.timer);
    worker.watches.get(name)?.link.close();
    worker.watches.delete(name);
    this.#step({ type: 'unwatch', key: keyOf(worker, name) });
    if ([...this.#workers.values()].some(({ watches }) => watches.size > 0)) return;
    clearInterval(this.#ticker);
    this.#ticker = undefined;
  }

  #fence(worker: Hosted, name: string, silentMs: number): void {
    worker.fenced.set(name, silentMs);
    const [oldest] = worker.fenced.keys();
    if (worker.fenced.size > MOST_FENCED && oldest !== undefined) worker.fenced.delete(oldest);
    const said = { type: 'fenced', silentMs } as const;
    worker.watches.get(name)?.link.send(said);
    worker.sessions.get(name)?.end(said);
  }

  #leave(worker: Hosted): void {
    this.#workers.delete(worker.key);
    if (this.#byName.get(worker.name) === worker) this.#byName.delete(worker.name);
    for (const name of [...worker.watches.keys()]) this.#unwatch(worker, name);
    for (const session of worker.sessions.values()) session.end();
    for (const [place, used] of this.#beacons) {
      if (used.opening !== worker.beacon || --used.users > 0) continue;
      this.#beacons.delete(place);
      used.opening.then(
        (beacon) => beacon.close(),
        () => {},
      );
    }
  }

  /** Somebody has said something to a worker, on a link of either direction. */
  #heard(worker: Hosted, from: string, said: Said): void {
    const watch = worker.watches.get(from);
    if (said.type === 'accuse') {
      if (worker.watches.has(said.about)) {
        this.#step({ type: 'accused', key: keyOf(worker, said.about) });
      }
    } else if (watch === undefined) return;
    else if (said.type === 'fenced') {
      const { rank, incarnation } = watch;
      this.#unwatch(worker, from);
      const { silentMs } = said;
      this.#report({ type: 'fenced', worker: worker.key, rank, incarnation, silentMs });
    } else {
      if (said.type === 'beat') watch.busyMs = said.busyMs;
      if (performance.now() >= (watch.severed?.from ?? Number.POSITIVE_INFINITY)) {
        const { rank, incarnation } = watch;
        this.#report({ type: 'severed', worker: worker.key, rank, incarnation });
        return this.#unwatch(worker, from);
      }
      this.#step({ type: 'beat', key: keyOf(worker, from) });
    }
  }

  #step(event: SuspicionEvent): void {
    for (const { type, key, silentMs } of this.#suspicion.step(event, performance.now())) {
      const [workerKey, name] = key.split(' ') as [string, string];
      const worker = this.#workers.get(Number(workerKey));
      const watch = worker?.watches.get(name);
      if (worker === undefined || watch === undefined || watch.severed !== undefined) continue;
      const { rank, incarnation, link } = watch;
      const note = noteOn(watch);
      this.#report({ type, worker: worker.key, rank, incarnation, silentMs, note });
      if (type === 'suspected') link.renew();
      if (type === 'dead') this.#accuse(worker, name);
    }
  }

  /** Tells all others of a death. Who hears the dead one by a link of its own knows better, and does nothing. */
  #accuse(worker: Hosted, about: string): void {
    const said = { type: 'accuse', about } as const;
    for (const [name, { link }] of worker.watches) if (name !== about) link.send(said);
    for (const [name, session] of worker.sessions) if (name !== about) session.send(said);
  }
}

function keyOf({ key }: Hosted, name: string): string {
  return `${key} ${name}`;
}

function noteOn({ link, busyMs }: Watch): string {
  if (link.fault !== undefined) return `its liveness port: ${link.fault}`;
  return busyMs < 1_000 ? '' : `it had been computing for ${Math.round(busyMs / 1000)} s`;
}
