/**
 * Workers that run random programs on references over a bad network, and what must hold meanwhile (G1) and at the end
 * (G2). Everything follows from the seed.
 */
import type { Loss } from '../../rpc/reference-effects.ts';
import type { ForkId, RRefId } from '../../rpc/reference-ids.ts';
import { Clock, Connection, type Weather } from './network.ts';
import { type Handle, LEASE_MS, SimNode } from './node.ts';
import { Random } from './random.ts';

const [STEPS, STEP_MS] = [60, 25];

type Done = Record<'created' | 'freed' | 'passed' | 'crashed' | 'vanished', number>;
type Answer = (answer: () => void) => void;

interface Body {
  readonly refs: readonly Handle[];
}

export class World {
  readonly clock: Clock = new Clock();
  readonly violations: string[] = [];
  readonly #random: Random;
  readonly #weather: Weather;
  readonly #nodes: SimNode[] = [];
  /** Whether connections end, or calls are given up, in this schedule. */
  readonly #isRough: boolean;
  #incarnation = 0;
  /** For the test of the test: how much was done. */
  readonly done: Done = { created: 0, freed: 0, passed: 0, crashed: 0, vanished: 0 };

  constructor(seed: number) {
    this.#random = new Random(seed);
    const random = this.#random;
    this.#weather = {
      loss: random.pick([0, 0.1, 0.3]) ?? 0,
      doubling: random.pick([0, 0.2]) ?? 0,
      delayMs: random.pick([2, 30, 150]) ?? 1,
    };
    this.#isRough = random.chance(0.6);
    const workers = 2 + random.below(3);
    for (let rank = 0; rank < workers; rank++) this.#start(rank);
  }

  /** Runs the programs, lets go of everything, waits, and looks what is left. */
  run(): void {
    for (let step = 0; step < STEPS; step++) {
      this.#step();
      this.clock.run(this.clock.now + this.#random.below(2 * STEP_MS));
    }
    this.clock.run(this.clock.now + 40_000);
    for (const node of this.#isRough ? [] : this.#live()) {
      const { pending, children } = node.protocol.counts();
      if (pending + children > 0) this.violations.push(`worker ${node.rank} still waits`);
    }
    for (const node of this.#live()) for (const handle of [...node.handles]) node.dispose(handle);
    this.clock.run(this.clock.now + 3.5 * LEASE_MS);
    for (const node of this.#live()) {
      for (const handle of [...node.handles]) node.dispose(handle);
    }
    this.clock.run(this.clock.now + 20_000);
    for (const node of this.#live()) {
      this.violations.push(...node.leftovers());
    }
  }

  #start(rank: number): void {
    const node = new SimNode(rank, ++this.#incarnation, this.clock, {
      freed: (owner, id) => this.#freed(owner, id),
      refused: (at, fork) => {
        if (!this.#isRough) this.violations.push(`G1: ${fork} was refused to worker ${at.rank}`);
      },
      expired: (at, peer) => {
        if (!this.#isRough) this.violations.push(`worker ${at.rank} gave up worker ${peer}`);
      },
    });
    for (const other of this.#live()) this.#connect(node, other);
    this.#nodes.push(node);
  }

  /** Once both know that the earlier connection of the rank is over. */
  #connect(node: SimNode, other: SimNode): void {
    if (!node.isAlive || !other.isAlive) return;
    const before = other.connections.get(node.rank);
    if (before?.isOpenAt(other)) return this.clock.after(100, () => this.#connect(node, other));
    const connection = new Connection([node, other], this.clock, this.#random, this.#weather);
    for (const end of [node, other]) {
      const peer = connection.other(end).rank;
      end.connections.set(peer, connection);
      const { firstNumber } = connection.other(end) as SimNode;
      end.protocol.peerHere(peer, firstNumber);
    }
  }

  #live(): SimNode[] {
    return this.#nodes.filter((node) => node.isAlive);
  }

  #freed(owner: SimNode, id: RRefId): void {
    if (owner.isUsed(id)) this.violations.push(`G1: ${id} was freed under a call through it`);
    if (!owner.made.delete(id)) return;
    this.done.freed++;
    for (const node of this.#live()) {
      // Who cannot be heard any more counts as dead.
      if (owner.gonePeers.has(node)) continue;
      for (const { id: held, fork } of node.handles) {
        if (held !== id || !node.protocol.isConfirmed(fork)) continue;
        this.violations.push(`G1: ${id} was freed while worker ${node.rank} holds ${fork}`);
      }
    }
  }

  #step(): void {
    const random = this.#random;
    const node = random.pick(this.#live());
    if (node === undefined) return this.#start(0);
    const what = random.below(this.#isRough ? 111 : 100);
    const handle = random.pick(node.handles);
    if (what < 20 || handle === undefined) this.#create(node);
    else if (what < 60) this.#call(node, handle);
    else if (what < 75) this.#use(node, handle);
    else if (what < 100) node.dispose(handle);
    else this.#disturb(node, what);
  }

  #disturb(node: SimNode, what: number): void {
    const connection = this.#random.pick([...node.connections.values()]);
    if (what < 103 && connection?.isOpenAt(node)) connection.close(node);
    else if (what < 106 && connection !== undefined) {
      connection.mutedUntil = this.clock.now + this.#random.below(2 * LEASE_MS);
    } else if (what < 108) {
      this.#crash(node);
    } else {
      // Without a sign: its connections stay open, and nothing comes.
      node.isAlive = false;
      this.done.vanished++;
    }
  }

  #crash(node: SimNode): void {
    if (!node.isAlive) return;
    node.isAlive = false;
    this.done.crashed++;
    for (const one of node.connections.values()) one.close(node);
    if (this.#random.chance(0.7)) this.#start(node.rank);
  }

  /** Sends a message to a worker and runs `work` there. */
  #send(from: SimNode, to: SimNode, work: () => void): void {
    if (from === to) return this.clock.after(1, () => from.isAlive && work());
    from.connections.get(to.rank)?.sendCall(from, work);
  }

  /** A request through some copies; `answer` runs once at most. @param givenUp runs in its stead when nobody waits any more */
  #request(from: SimNode, to: SimNode, through: readonly Handle[], givenUp?: () => void): Answer {
    const giveUpInMs =
      this.#isRough && this.#random.chance(0.2)
        ? this.#random.below(this.#random.pick([10, 300]) ?? 0)
        : undefined;
    const over = from.begin(to.rank, through, { giveUpInMs, givenUp });
    return (answer) => {
      this.#send(to, from, () => {
        answer();
        over();
      });
    };
  }

  #create(node: SimNode): void {
    const [id, fork] = [node.newId() as RRefId, node.newId() as ForkId];
    const owner = this.#random.pick([...node.connections.keys(), node.rank]) ?? node.rank;
    const to = node.peer(owner);
    if (to === undefined) return;
    this.done.created++;
    const handle = { id, fork, owner, ownerNumber: to.firstNumber };
    node.protocol.begin(id, fork, owner);
    node.handles.push(handle);
    if (to === node && this.#random.chance(0.5)) {
      node.make(id);
      node.protocol.create(id, fork, owner);
      return;
    }
    let isFailed = false;
    const failed = (): void => {
      isFailed = true;
      node.protocol.failed(id, fork, owner);
    };
    if (this.#random.chance(0.1)) {
      // It waits for its turn, and is given up before it is sent; others have the reference by then.
      node.protocol.hold(fork);
      this.#call(node, handle);
      this.clock.after(this.#random.below(80), () => {
        if (!node.isAlive) return;
        if (this.#isRough && this.#random.chance(0.2)) return this.#crash(node);
        node.protocol.letGo(fork);
        failed();
      });
      return;
    }
    const answer = this.#request(node, to, [handle], failed);
    if (this.#random.chance(0.2)) node.dispose(handle);
    this.#send(node, to, () => {
      if (!to.protocol.create(id, fork, node.rank)) return answer(failed);
      if (to.neverMade.has(id)) this.violations.push(`${id} was made after its end was told`);
      to.make(id);
      to.borrow(id);
      this.clock.after(this.#random.below(80), () => {
        if (!to.isAlive) return;
        to.giveBack(id);
        answer(() => isFailed || node.protocol.created(fork));
      });
    });
  }

  /** What travels for a copy. */
  #pack(from: SimNode, to: SimNode, handles: readonly Handle[]): Body {
    const refs = handles.map(({ fork: parent, ...handle }) => {
      const fork = from.newId() as ForkId;
      from.protocol.pass(parent, fork, to.rank);
      this.done.passed++;
      return { ...handle, fork };
    });
    return { refs };
  }

  #arrive(to: SimNode, { id, fork, owner, ownerNumber }: Handle): 'confirmed' | 'pending' | Loss {
    const now = this.#live().find(({ rank }) => rank === owner);
    const isReplaced = now !== undefined && now.firstNumber !== ownerNumber;
    return to.protocol.arrive(id, fork, owner, isReplaced);
  }

  /** The copies in a message; `run` gets them when all are confirmed. */
  #unpack(to: SimNode, { refs }: Body, run: (handles: readonly Handle[]) => void): void {
    let missing = 1;
    const arrived = (isConfirmed: boolean): void => {
      if (!isConfirmed) missing = Number.NaN;
      if (--missing === 0) run(refs);
    };
    for (const handle of refs) {
      const fate = this.#arrive(to, handle);
      if (fate === 'freed' && !this.#isRough)
        this.violations.push(`G1: ${handle.fork} came to nothing`);
      if (fate === 'confirmed' || fate === 'pending') to.handles.push(handle);
      if (fate === 'freed' || fate === 'owner-gone') missing = Number.NaN;
      if (fate !== 'pending') continue;
      missing++;
      to.waiting.set(handle.fork, arrived);
    }
    arrived(true);
  }

  /** A call with references as arguments; its answer may have some too. */
  #call(node: SimNode, handle: Handle): void {
    const random = this.#random;
    const to = node.peer(random.pick([...node.connections.keys(), node.rank]) ?? node.rank);
    if (to === undefined) return;
    const args = [handle, random.pick(node.handles) ?? handle];
    const body = this.#pack(node, to, random.chance(0.5) ? args : [handle]);
    if (random.chance(0.4)) node.dispose(handle);
    const answer = this.#request(node, to, []);
    const keeps = random.chance(0.3);
    const returns = random.chance(0.4);
    this.#send(node, to, () =>
      this.#unpack(to, body, (given) => {
        this.clock.after(random.below(50), () => {
          if (!to.isAlive) return;
          const kept = given.filter((one) => to.isUsable(one));
          if (random.chance(0.2)) for (const one of kept) this.#use(to, one);
          if (node === to || to.peer(node.rank) === node) {
            const result = this.#pack(to, node, returns ? kept : []);
            answer(() => this.#unpack(node, result, () => {}));
          }
          if (!keeps) for (const one of kept) to.dispose(one);
        });
      }),
    );
  }

  /** A method of the object: it must be there. */
  #use(node: SimNode, handle: Handle): void {
    const to = node.peer(handle.owner);
    if (to === undefined) return;
    const wasConfirmed = node.protocol.isConfirmed(handle.fork);
    const answer = this.#request(node, to, [handle]);
    if (this.#random.chance(0.2)) node.dispose(handle);
    this.#send(node, to, () => {
      const isThere = to.borrow(handle.id);
      const isHeld = wasConfirmed && node.protocol.isConfirmed(handle.fork);
      if (!isThere && (!this.#isRough || (isHeld && to.everMade.has(handle.id)))) {
        this.violations.push(`G1: ${handle.id} was gone when worker ${node.rank} called it`);
      }
      const run = (): void =>
        this.clock.after(this.#random.below(60), () => {
          if (!to.isAlive) return;
          if (isThere) to.giveBack(handle.id);
          answer(() => {});
        });
      if (isThere) to.use(handle.id, run);
      else run();
    });
  }
}
