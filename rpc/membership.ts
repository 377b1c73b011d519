/**
 * One worker's part in a dynamic group: takes and makes the connections that its roster asks for, hears rank 0's changes,
 * on rank 0 tells them, and leaves. What follows from what is the roster's and the coordinator's business.
 */
import { GradwireError } from '../errors.ts';
import { atRest } from './agreement.ts';
import { Condition } from './condition.ts';
import type { DynamicGroup } from './dynamic-group.ts';
import type { Endpoint } from './endpoint.ts';
import { decodeChange, encodeChange } from './group-wire.ts';
import { Head } from './head.ts';
import { HeldConnections } from './held-connections.ts';
import type { Incoming } from './incoming.ts';
import type { Members } from './members.ts';
import { departed } from './peer-loss.ts';
import { type Change, Roster, type RosterEffect, type Seat } from './roster.ts';
import type { Connection, Member, TransportNode } from './transport.ts';

/** Pause before a member that could not be reached is tried again. */
const RETRY_MS = 100;
/** How long a member that does not answer holds up one that leaves. */
const FAREWELL_MS = 1_000;

/** What taking part needs of a worker. */
export interface MembershipHost {
  readonly endpoint: Endpoint;
  readonly members: Members;
  attach(connection: Connection, member: Member | undefined): void;
  /** A member can be called from now on. @param isNew it came after this worker */
  welcome(member: Seat, isNew: boolean): void;
}

export interface MembershipOptions {
  readonly host: MembershipHost;
  readonly node: TransportNode;
  readonly incarnation: string;
  /** On rank 0. */
  readonly group: DynamicGroup | undefined;
}

export class Membership {
  /** Of who belongs to the group, and how far this worker is connected. */
  readonly changes: Condition = new Condition();
  readonly #host: MembershipHost;
  readonly #node: TransportNode;
  readonly #group: DynamicGroup | undefined;
  readonly #roster: Roster;
  /** Connections of those that rank 0 has not told of yet. */
  readonly #held = new HeldConnections();
  readonly #retries = new Set<NodeJS.Timeout>();
  /** Until when this worker tries to reach the others, by `performance.now()`. */
  #deadline = 0;
  #isReady = false;
  #isClosed = false;
  #masterIsGone = false;

  constructor({ host, node, incarnation, group }: MembershipOptions) {
    this.#host = host;
    this.#node = node;
    this.#group = group;
    this.#roster = new Roster(incarnation);
    const { endpoint } = host;
    endpoint.handle('view', ({ head, peer }) => {
      if (peer === 0 && group === undefined) this.#change(decodeChange(head));
    });
    endpoint.handle('join', (request) => this.#greeting(request));
    endpoint.handle('leave', ({ peer }) => this.#farewell(peer));
  }

  /** Names of the members other than rank 0, on rank 0. */
  get others(): readonly string[] {
    return this.#group?.others ?? [];
  }

  /** Rank 0 is a group of its own from the first moment. */
  open(): void {
    const group = this.#group;
    if (group === undefined) return;
    group.onChange = (change) => {
      this.#change(change);
      const head = encodeChange(change);
      for (const rank of this.#roster.connected) this.#tell(rank, head);
    };
    this.#change(group.snapshot);
    this.#isReady = true;
  }

  /**
   * Connects to rank 0, then to all of whom it tells, and resolves when all of them count this worker in.
   *
   * @param self rank of this worker
   * @param deadline by `performance.now()`
   * @throws GradwireError (as rejection) `init_timeout`, `unavailable`
   */
  async join(self: number, master: Member, deadline: number): Promise<void> {
    this.#deadline = deadline;
    const connection = await this.#node.dial(master, this.#leftMs());
    this.#roster.enter(master);
    this.#host.welcome({ ...master, since: 0 }, false);
    this.#host.attach(connection, master);
    await this.#connected();
    this.#host.members.setSince(self, this.#roster.since);
    // Before the others are told: who connects meanwhile hears it by its greeting.
    this.#isReady = true;
    await Promise.all(this.#roster.connected.map((rank) => this.#announce(rank)));
    // What has happened meanwhile concerns only those who came later.
    await this.#connected();
  }

  /** A connection that another worker has made. */
  offer(connection: Connection): void {
    const { rank, incarnation } = connection.peer;
    if (this.#isClosed) return connection.close();
    if (this.#group !== undefined) return this.#admit(connection, this.#group);
    const verdict = this.#roster.judge(rank, incarnation);
    if (verdict === 'take') this.#take(connection);
    else if (verdict === 'hold') this.#held.add(connection);
    else connection.close();
  }

  /** A connection is over. */
  peerGone(rank: number, isFarewell: boolean): void {
    const seat = this.#roster.seatAt(rank);
    this.#roster.broken(rank);
    if (this.#isClosed) return;
    if (rank === 0) this.#masterIsGone = true;
    if (seat !== undefined) this.#group?.gone(seat.incarnation, isFarewell);
    this.#sync();
  }

  /** Takes no new work, tells all, and resolves when what is under way is done. */
  async leave(): Promise<void> {
    const { endpoint } = this.#host;
    const told = this.#roster.connected.map((rank) => {
      return this.#ask(rank, 'leave', [], FAREWELL_MS).catch(() => undefined);
    });
    await Promise.all(told);
    // Their calls before they heard it have come before their answer.
    await atRest(endpoint, () => this.#isClosed);
  }

  /** On rank 0: nobody comes any more. False if others are there. */
  closeGroup(): boolean {
    if (this.others.length > 0) return false;
    this.#group?.close();
    return true;
  }

  close(): void {
    this.#isClosed = true;
    for (const timer of this.#retries) clearTimeout(timer);
    this.#retries.clear();
    this.#held.close();
    this.#sync();
  }

  /** Rank 0 takes connections of those that it has admitted, and of nobody else. */
  #admit(connection: Connection, group: DynamicGroup): void {
    const { rank, incarnation } = connection.peer;
    if (!group.isExpected(rank, incarnation)) return connection.close();
    group.connected(incarnation);
    this.#take(connection);
    this.#tell(rank, encodeChange(group.snapshot));
  }

  #take(connection: Connection): void {
    const { rank, incarnation } = connection.peer;
    this.#roster.opened(incarnation);
    this.#host.attach(connection, this.#roster.seatAt(rank));
  }

  #change(change: Change): void {
    this.#follow(this.#roster.change(change));
    this.#sync();
  }

  #follow(effects: readonly RosterEffect[]): void {
    for (const effect of effects) {
      if (effect.type === 'cut') this.#host.endpoint.cut(effect.rank, departed());
      else if (effect.type === 'dial') this.#dial(effect.seat);
      else {
        const held = this.#held.take(effect.seat.incarnation);
        if (held !== undefined) this.offer(held);
      }
    }
  }

  #dial(seat: Seat): void {
    this.#node.dial(seat, this.#leftMs()).then(
      (connection) => {
        const { rank, incarnation } = seat;
        const isWanted = !this.#isClosed && this.#roster.judge(rank, incarnation) === 'take';
        if (!isWanted) return connection.close();
        this.#take(connection);
        this.#greet(seat);
      },
      () => {
        if (this.#isClosed || performance.now() >= this.#deadline) return;
        const retry = setTimeout(() => {
          this.#retries.delete(retry);
          this.#follow(this.#roster.unreached(seat.incarnation));
        }, RETRY_MS);
        this.#retries.add(retry);
      },
    );
  }

  /** The answer proves that the other end knows this worker and has taken the connection. */
  #greet({ rank, incarnation }: Seat): void {
    this.#ask(rank, 'join', [false], this.#leftMs()).then(
      (isReady) => {
        this.#roster.greeted(incarnation, isReady === true);
        this.#sync();
      },
      () => {},
    );
  }

  /** Tells a member that all are connected to this worker. Who is gone needs no telling. */
  async #announce(rank: number): Promise<void> {
    try {
      await this.#ask(rank, 'join', [true], this.#leftMs());
    } catch (error) {
      if (this.#host.endpoint.isConnected(rank)) throw error;
    }
  }

  #greeting({ head, peer }: Incoming): boolean {
    if (new Head(head).flag(0)) this.#roster.ready(peer);
    this.#sync();
    return this.#isReady;
  }

  #farewell(rank: number): void {
    const seat = this.#roster.seatAt(rank);
    this.#roster.leaving(rank);
    if (seat !== undefined) this.#group?.leaving(seat.incarnation);
    this.#sync();
  }

  /** Brings the worker's members up to the roster, and wakes those who wait for a change. */
  #sync(): void {
    const { members } = this.#host;
    for (const seat of this.#roster.members) {
      if (members.isMember(seat)) continue;
      this.#host.welcome(seat, this.#roster.isLater(seat));
    }
    for (const rank of this.#roster.departing) members.markLeaving(rank);
    this.changes.changed();
  }

  async #connected(): Promise<void> {
    const isOver = (): boolean => this.#masterIsGone || this.#isClosed;
    await this.changes.until(() => this.#roster.isConnected || isOver(), this.#leftMs());
    if (isOver()) {
      const message = 'rank 0 closed the connection while this worker was joining';
      throw new GradwireError('unavailable', message, { stage: 'init' });
    }
    if (this.#roster.isConnected) return;
    const names = this.#roster.missing.map(({ name }) => name).join(', ') || 'rank 0';
    const message = `${names} could not be reached in time`;
    throw new GradwireError('init_timeout', message, { peer: names, stage: 'init' });
  }

  #tell(rank: number, head: unknown): void {
    this.#host.endpoint.notify(rank, 'view', head, ['view']);
  }

  #ask(peer: number, kind: 'join' | 'leave', head: unknown, timeoutMs: number): Promise<unknown> {
    const what = kind === 'join' ? 'joining' : 'leaving';
    const request = { peer, kind, head, body: null, bodyName: 'nothing', what, timeoutMs };
    // What cannot be sent is thrown at once.
    return new Promise((resolve) => resolve(this.#host.endpoint.request(request)));
  }

  #leftMs(): number {
    return Math.max(1, this.#deadline - performance.now());
  }
}
