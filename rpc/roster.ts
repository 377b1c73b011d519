/**
 * What one member of a dynamic group knows of the others: by rank 0's numbered changes and by its own connections. The
 * later of two connects to the earlier; a newcomer is ready once all that were there before are connected to it, and
 * nobody counts it in earlier. Pure: membership.ts does what follows.
 */
import type { Member } from './transport.ts';

/** A member's place in a dynamic group. */
export interface Seat extends Member {
  /** Number of the change by which it came: its place in the order of all arrivals. */
  readonly since: number;
}

/** What rank 0 tells of the group. A newcomer gets all seats at once, then each change in order. */
export interface Change {
  readonly number: number;
  /** Those who have come. */
  readonly seats: readonly Seat[];
  /** Incarnations that finish their work and take no new one. */
  readonly leaving: readonly string[];
  readonly departed: readonly Departed[];
}

export interface Departed {
  readonly incarnation: string;
  /** In good order, or not. */
  readonly hasLeft: boolean;
}

export type RosterEffect =
  | { readonly type: 'dial'; readonly seat: Seat }
  /** The connection to this rank must end: who is at its other end belongs to the group no longer. */
  | { readonly type: 'cut'; readonly rank: number }
  /** A connection of this member that came too early may be taken now. */
  | { readonly type: 'expect'; readonly seat: Seat };

interface Place {
  readonly seat: Seat;
  isLeaving: boolean;
  /** `lost`: it was connected, and is not again. `greeted`: the other end has taken the connection. */
  link: 'none' | 'dialling' | 'open' | 'greeted' | 'lost';
  /** Whether it has said that all are connected to it. */
  isReady: boolean;
}

export class Roster {
  readonly #self: string;
  readonly #places = new Map<string, Place>();
  /** Who is at the other end of the connection to a rank. */
  readonly #open = new Map<number, string>();
  #number = 0;
  #since = Number.POSITIVE_INFINITY;

  /** @param self incarnation of this member */
  constructor(self: string) {
    this.#self = self;
  }

  /** Number of the last change that this member knows. */
  get number(): number {
    return this.#number;
  }

  /** This member's place in the order of all arrivals; Infinity while rank 0 has not told it. */
  get since(): number {
    return this.#since;
  }

  /** Those that can be called, this member excepted, by rank. */
  get members(): readonly Seat[] {
    return [...this.#places.values()]
      .filter(({ seat, link, isReady, isLeaving }) => {
        return seat.incarnation !== this.#self && isLinked(link) && isReady && !isLeaving;
      })
      .map(({ seat }) => seat)
      .sort((a, b) => a.rank - b.rank);
  }

  /** Ranks to which there is a connection. */
  get connected(): readonly number[] {
    return [...this.#open.keys()];
  }

  /** Ranks of members that take no new work. */
  get departing(): readonly number[] {
    return [...this.#open.keys()].filter((rank) => this.#at(rank)?.isLeaving === true);
  }

  /** Those that a newcomer still has to reach. */
  get missing(): readonly Seat[] {
    return [...this.#places.values()]
      .filter(({ seat, link, isLeaving }) => {
        return seat.since < this.#since && !isLeaving && link !== 'greeted';
      })
      .map(({ seat }) => seat);
  }

  /** Whether rank 0 has told this member of the group, and all that were there before it are connected to it. */
  get isConnected(): boolean {
    return this.#since !== Number.POSITIVE_INFINITY && this.missing.length === 0;
  }

  /** The member at the other end of the connection to this rank. */
  seatAt(rank: number): Seat | undefined {
    return this.#at(rank)?.seat;
  }

  /** Whether this member came after this one. */
  isLater({ since }: Seat): boolean {
    return since > this.#since;
  }

  /** A newcomer has connected to rank 0, and knows of nobody else yet. */
  enter(master: Member): void {
    const seat = { ...master, since: 0 };
    const place: Place = { seat, isLeaving: false, link: 'greeted', isReady: true };
    this.#places.set(master.incarnation, place);
    this.#open.set(master.rank, master.incarnation);
  }

  /** Rank 0 has told something. */
  change({ number, seats, leaving, departed }: Change): readonly RosterEffect[] {
    if (number <= this.#number) return [];
    this.#number = number;
    const effects: RosterEffect[] = [];
    for (const gone of departed) effects.push(...this.#departed(gone));
    for (const incarnation of leaving) {
      const place = this.#places.get(incarnation);
      if (place !== undefined) place.isLeaving = true;
    }
    for (const seat of seats) {
      if (seat.incarnation === this.#self) this.#since = seat.since;
    }
    for (const seat of seats) effects.push(...this.#seated(seat));
    return effects;
  }

  /** Whether a connection with this worker at its other end is to be kept, closed, or held until rank 0 tells of it. */
  judge(rank: number, incarnation: string): 'take' | 'hold' | 'refuse' {
    const place = this.#places.get(incarnation);
    if (place === undefined) return 'hold';
    const isWanted = place.seat.rank === rank && !isLinked(place.link) && place.link !== 'lost';
    return isWanted && !this.#open.has(rank) ? 'take' : 'refuse';
  }

  /** A connection was taken. */
  opened(incarnation: string): void {
    const place = this.#places.get(incarnation);
    if (place === undefined) return;
    place.link = 'open';
    this.#open.set(place.seat.rank, incarnation);
  }

  /** The other end has taken the connection. @param isReady whether all are connected to it already */
  greeted(incarnation: string, isReady: boolean): void {
    const place = this.#places.get(incarnation);
    if (place === undefined || place.link !== 'open') return;
    place.link = 'greeted';
    place.isReady ||= isReady;
  }

  /** The member at this rank says that all are connected to it. */
  ready(rank: number): void {
    const place = this.#at(rank);
    if (place !== undefined) place.isReady = true;
  }

  /** The member at this rank says that it finishes its work and takes no new one. */
  leaving(rank: number): void {
    const place = this.#at(rank);
    if (place !== undefined) place.isLeaving = true;
  }

  /** A member could not be reached: it is tried again for as long as rank 0 counts it in. */
  unreached(incarnation: string): readonly RosterEffect[] {
    const place = this.#places.get(incarnation);
    if (place?.link !== 'dialling') return [];
    return place.isLeaving ? [] : [{ type: 'dial', seat: place.seat }];
  }

  /** The connection to this rank is over. */
  broken(rank: number): void {
    const place = this.#at(rank);
    this.#open.delete(rank);
    if (place !== undefined) place.link = 'lost';
  }

  #seated(seat: Seat): readonly RosterEffect[] {
    const { incarnation, rank } = seat;
    const effects: RosterEffect[] = [];
    const known = this.#places.get(incarnation);
    if (known === undefined) {
      const isSelf = incarnation === this.#self;
      // Fencing: of two who held a rank one after the other the earlier is heard no longer.
      if (this.#open.has(rank)) effects.push({ type: 'cut', rank });
      this.#places.set(incarnation, { seat, isLeaving: false, link: 'none', isReady: isSelf });
    }
    const place = this.#places.get(incarnation);
    if (place === undefined || place.link !== 'none' || incarnation === this.#self) return effects;
    if (this.isLater(seat)) return [...effects, { type: 'expect', seat }];
    place.link = 'dialling';
    return [...effects, { type: 'dial', seat }];
  }

  #departed({ incarnation, hasLeft }: Departed): readonly RosterEffect[] {
    const place = this.#places.get(incarnation);
    if (place === undefined) return [];
    this.#places.delete(incarnation);
    const { rank } = place.seat;
    // Who leaves in good order says so itself, after its last answer.
    if (hasLeft || this.#open.get(rank) !== incarnation) return [];
    return [{ type: 'cut', rank }];
  }

  #at(rank: number): Place | undefined {
    const incarnation = this.#open.get(rank);
    return incarnation === undefined ? undefined : this.#places.get(incarnation);
  }
}

function isLinked(link: Place['link']): boolean {
  return link === 'open' || link === 'greeted';
}
