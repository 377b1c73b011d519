/**
 * A dynamic group without sockets, timers or promises: the book of rank 0 and the rosters of the members, between them
 * queues that deliver in any order that a seed gives, and workers that join, leave, die and are cut off at any step.
 */
import { Coordinator, type CoordinatorEvent } from '../../rpc/coordinator.ts';
import { type Change, Roster, type RosterEffect, type Seat } from '../../rpc/roster.ts';
import { DYNAMIC, type Member } from '../../rpc/transport.ts';
import { randomFrom } from './random.ts';

type Message =
  | { readonly type: 'offer' | 'greet' | 'ready' | 'readyHeard' | 'leave' | 'leaveHeard' }
  | { readonly type: 'greeted'; readonly isReady: boolean }
  | { readonly type: 'view'; readonly change: Change }
  | { readonly type: 'over'; readonly isFarewell: boolean };

/** One direction of a connection. */
interface Way {
  readonly from: SimulatedWorker;
  readonly to: SimulatedWorker;
  readonly queue: Message[];
  /** Whether much else happens before something arrives. */
  readonly isSlow: boolean;
  /** By `to`; before, nothing but the offer is read. */
  isTaken: boolean;
  back: Way;
}

export interface SimulatedWorker extends Member {
  readonly roster: Roster;
  /** `out`: dead, gone, or refused. */
  state: 'asking' | 'admitted' | 'joining' | 'telling' | 'here' | 'leaving' | 'out';
  /** Where it sends, by rank; the other end may not have taken it yet. */
  readonly ways: Map<number, Way>;
  readonly held: Map<string, Way>;
  readonly dials: Seat[];
  readonly unheard: Set<number>;
}

export class GroupSimulation {
  readonly book: Coordinator = new Coordinator();
  readonly workers: SimulatedWorker[] = [];
  /** The `init` of a worker resolves. */
  onArrival: (worker: SimulatedWorker) => void = () => {};
  readonly #random: () => number;
  readonly #master: SimulatedWorker;
  readonly #ways = new Set<Way>();
  #lives = 0;

  constructor(seed: number) {
    this.#random = randomFrom(seed);
    this.#master = this.start(0);
    this.#step({ type: 'connected', incarnation: this.#master.incarnation });
    this.#change(this.#master, this.book.snapshot);
    this.#master.state = 'here';
  }

  /** A number below `limit`. */
  pick(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  /** A worker asks to join. */
  start(rank: number): SimulatedWorker {
    const incarnation = `${rank}.${this.#lives++}`;
    const worker: SimulatedWorker = {
      name: `w${rank}`,
      rank,
      address: incarnation,
      incarnation,
      roster: new Roster(incarnation),
      state: 'asking',
      ways: new Map(),
      held: new Map(),
      dials: [],
      unheard: new Set(),
    };
    this.workers.push(worker);
    const candidate = { ...worker, worldSize: DYNAMIC, timeoutMs: 1 };
    this.#step({ type: 'ask', candidate });
    return worker;
  }

  /** A worker's process ends, with goodbyes or without a word. */
  end(worker: SimulatedWorker, isFarewell: boolean): void {
    worker.state = 'out';
    worker.dials.length = 0;
    for (const way of worker.ways.values()) {
      this.#ways.delete(way.back);
      way.queue.push({ type: 'over', isFarewell });
    }
    for (const way of worker.held.values()) way.back.queue.push({ type: 'over', isFarewell });
    worker.ways.clear();
  }

  leave(worker: SimulatedWorker): void {
    worker.state = 'leaving';
    this.#tellAll(worker, { type: 'leave' });
  }

  /** The connection between a worker and rank 0 breaks, and both live. */
  sever(worker: SimulatedWorker): void {
    const way = worker.ways.get(0);
    if (way !== undefined) this.#close(way, false);
  }

  /** A worker has waited too long for its rank, or did not connect in time after it was admitted. */
  lapse(worker: SimulatedWorker): void {
    if (worker.state === 'asking') worker.state = 'out';
    this.#step({ type: 'forget', incarnation: worker.incarnation });
  }

  /** Does one thing of those that can be done. False if there is nothing to do. */
  advance(): boolean {
    const soon = this.#todo(this.pick(20) === 0);
    const todo = soon.length > 0 ? soon : this.#todo(true);
    todo[this.pick(todo.length)]?.();
    for (const worker of this.workers) this.#look(worker);
    return todo.length > 0;
  }

  #todo(withSlow: boolean): (() => void)[] {
    const todo: (() => void)[] = [];
    for (const way of this.#ways) {
      if (way.isSlow && !withSlow) continue;
      if (way.queue[0]?.type === 'offer' || (way.isTaken && way.queue.length > 0)) {
        todo.push(() => this.#deliver(way));
      }
    }
    for (const worker of this.workers) {
      if (worker.state === 'admitted') todo.push(() => this.#enter(worker));
      if (worker.dials.length > 0) todo.push(() => this.#dial(worker));
    }
    return todo;
  }

  #enter(worker: SimulatedWorker): void {
    worker.state = 'joining';
    worker.roster.enter(this.#master);
    const way = this.#connect(worker, this.#master);
    worker.ways.set(0, way);
    way.back.isTaken = true;
  }

  #dial(worker: SimulatedWorker): void {
    const seat = worker.dials.splice(this.pick(worker.dials.length), 1)[0] as Seat;
    const target = this.workers.find(({ incarnation }) => incarnation === seat.incarnation);
    if (target === undefined || target.state === 'out') {
      return this.#follow(worker, worker.roster.unreached(seat.incarnation));
    }
    if (worker.roster.judge(seat.rank, seat.incarnation) !== 'take') return;
    const way = this.#connect(worker, target);
    this.#take(worker, way.back);
    way.queue.push({ type: 'greet' });
  }

  #connect(from: SimulatedWorker, to: SimulatedWorker): Way {
    const [isSlow, isTaken] = [this.pick(4) === 0, false];
    const way = { from, to, queue: [{ type: 'offer' }], isSlow, isTaken } as unknown as Way;
    way.back = { from: to, to: from, queue: [], isSlow: this.pick(4) === 0, isTaken, back: way };
    for (const one of [way, way.back]) this.#ways.add(one);
    return way;
  }

  /** `worker` takes the connection on which `way` brings it messages. */
  #take(worker: SimulatedWorker, way: Way): void {
    worker.roster.opened(way.from.incarnation);
    worker.ways.set(way.from.rank, way.back);
    way.isTaken = true;
  }

  #offer(way: Way): void {
    const { from, to } = way;
    if (to.state === 'out') return this.#close(way.back, false);
    if (to === this.#master) {
      if (!this.book.isExpected(from.rank, from.incarnation)) return this.#close(way.back, false);
      this.#step({ type: 'connected', incarnation: from.incarnation });
      this.#take(to, way);
      way.back.queue.push({ type: 'view', change: this.book.snapshot });
      return;
    }
    const verdict = to.roster.judge(from.rank, from.incarnation);
    if (verdict === 'take') this.#take(to, way);
    else if (verdict === 'hold') to.held.set(from.incarnation, way);
    else this.#close(way.back, false);
  }

  #deliver(way: Way): void {
    const { from, to, back } = way;
    const message = way.queue.shift() as Message;
    switch (message.type) {
      case 'offer':
        return this.#offer(way);
      case 'view':
        return this.#change(to, message.change);
      case 'greet':
        back.queue.push({ type: 'greeted', isReady: isReady(to) });
        return;
      case 'greeted':
        return to.roster.greeted(from.incarnation, message.isReady);
      case 'ready':
        to.roster.ready(from.rank);
        back.queue.push({ type: 'readyHeard' });
        return;
      case 'leave':
        to.roster.leaving(from.rank);
        if (to === this.#master) this.#step({ type: 'leaving', incarnation: from.incarnation });
        back.queue.push({ type: 'leaveHeard' });
        return;
      case 'readyHeard':
      case 'leaveHeard':
        to.unheard.delete(from.rank);
        return;
      case 'over':
        for (const one of [way, back]) this.#ways.delete(one);
        return this.#gone(to, back, message.isFarewell);
    }
  }

  /** What a worker does when it is time. */
  #look(worker: SimulatedWorker): void {
    if (worker.state === 'joining' && worker.roster.isConnected) {
      worker.state = 'telling';
      this.#tellAll(worker, { type: 'ready' });
    }
    if (worker.unheard.size > 0) return;
    if (worker.state === 'telling') {
      worker.state = 'here';
      this.onArrival(worker);
    } else if (worker.state === 'leaving') this.end(worker, true);
  }

  #tellAll(worker: SimulatedWorker, message: Message): void {
    for (const [rank, way] of worker.ways) {
      worker.unheard.add(rank);
      way.queue.push(message);
    }
  }

  #change(worker: SimulatedWorker, change: Change): void {
    this.#follow(worker, worker.roster.change(change));
  }

  #follow(worker: SimulatedWorker, effects: readonly RosterEffect[]): void {
    for (const effect of effects) {
      if (effect.type === 'dial') worker.dials.push(effect.seat);
      else if (effect.type === 'cut') {
        const way = worker.ways.get(effect.rank);
        if (way !== undefined) this.#close(way, false);
      } else {
        const way = worker.held.get(effect.seat.incarnation);
        worker.held.delete(effect.seat.incarnation);
        if (way !== undefined) this.#offer(way);
      }
    }
  }

  /** `way.from` ends the connection: at once here, later at the other end. */
  #close(way: Way, isFarewell: boolean): void {
    this.#ways.delete(way.back);
    way.queue.push({ type: 'over', isFarewell });
    this.#gone(way.from, way, isFarewell);
  }

  /** The connection on which `worker` sends by `way` is over for it. */
  #gone(worker: SimulatedWorker, way: Way, isFarewell: boolean): void {
    const { rank } = way.to;
    if (worker.ways.get(rank) !== way || worker.state === 'out') return;
    worker.ways.delete(rank);
    worker.unheard.delete(rank);
    const seat = worker.roster.seatAt(rank);
    worker.roster.broken(rank);
    if (worker === this.#master && seat !== undefined) {
      this.#step({ type: 'gone', incarnation: seat.incarnation, isFarewell });
    }
    const isJoining = worker.state === 'joining' || worker.state === 'telling';
    if (rank === 0 && isJoining) this.end(worker, true);
  }

  #step(event: CoordinatorEvent): void {
    for (const effect of this.book.step(event)) {
      if (effect.type === 'change') {
        this.#change(this.#master, effect.change);
        for (const way of this.#master.ways.values()) {
          way.queue.push({ type: 'view', change: effect.change });
        }
        continue;
      }
      const worker = this.workers.find(({ incarnation }) => incarnation === effect.incarnation);
      if (worker?.state === 'asking') worker.state = effect.type === 'admit' ? 'admitted' : 'out';
    }
  }
}

function isReady({ state }: SimulatedWorker): boolean {
  return state === 'telling' || state === 'here' || state === 'leaving';
}

export function sees(worker: SimulatedWorker, other: SimulatedWorker): boolean {
  return worker.roster.members.some(({ incarnation }) => incarnation === other.incarnation);
}
