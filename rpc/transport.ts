/**
 * What a carrier of frames has to do: start a worker's end, find the group at the master, and make connections. Memory
 * and gRPC implement it; the same suite of tests runs over each. Users may bring their own by the option `transport` of
 * `init`: it must carry bytes in order and whole, and let nobody in who does not know the token.
 */
import type { TlsCredentials } from './tls-credentials.ts';

/** A member of the group, as the rendezvous makes it known to all. */
export interface Member {
  readonly name: string;
  readonly rank: number;
  /** Where the carrier reaches the member. */
  readonly address: string;
  /** Identity of one start of a process: a restarted worker is another incarnation. */
  readonly incarnation: string;
  /** Where its signs of life can be had, host:port; nothing, or an empty text: nowhere. */
  readonly liveness?: string | undefined;
}

/** World size of a group that workers join and leave as they like. */
export const DYNAMIC = 0;

/** Largest rank: ids name it in ten digits. */
export const MAX_RANK: number = 2 ** 31 - 1;

/** What a worker tells the master when it joins. */
export interface JoinRequest {
  readonly name: string;
  readonly rank: number;
  /** 0: the group is dynamic. */
  readonly worldSize: number;
  readonly incarnation: string;
  /** How long this worker still waits for the others. */
  readonly timeoutMs: number;
  /** See `Member.liveness`. */
  readonly liveness?: string | undefined;
}

/** A worker that wants to join, and where the others would reach it. */
export type Candidate = JoinRequest & { readonly address: string };

/** Rank 0's book of the group: the carrier brings what the others ask, and takes them the answers. */
export interface Rendezvous {
  /**
   * Resolves with the members to connect to: all, once a static group is complete; rank 0 alone in a dynamic one.
   * @throws GradwireError (as rejection) that is to reach the candidate with its code and message
   */
  join(candidate: Candidate): Promise<readonly Member[]>;
  /** The patience of a candidate, `timeoutMs`, is over. */
  expire(rank: number, incarnation: string, timeoutMs: number): void;
  /** A candidate went away while it waited. */
  leave(rank: number, incarnation: string): void;
  /** Rank 0 goes: nobody waits any longer. */
  close(): void;
}

/** Who stands at the other end of a connection. */
export interface PeerIdentity {
  readonly rank: number;
  readonly incarnation: string;
}

export interface ConnectionHandlers {
  /** Bytes came; the view may be used after the call. */
  data(chunk: Uint8Array): void;
  /** There is room again after `write` returned false. */
  drain(): void;
  /** The connection is over, once; no bytes follow. `reason` says why unless this side closed it. */
  close(reason: Error | undefined): void;
}

/** An ordered, reliable pair of byte streams to one peer. */
export interface Connection {
  readonly peer: PeerIdentity;
  /** Length in bytes of the segments that suit the carrier. */
  readonly segmentBytes: number;
  /** Must be called once, before the first `write`. */
  start(handlers: ConnectionHandlers): void;
  /** Sends the chunk, which the connection owns from now on. False: wait for `drain` before the next. */
  write(chunk: Uint8Array): boolean;
  /** Ends the connection after what was written; bounded. */
  close(): void;
}

export interface NodeOptions {
  readonly name: string;
  readonly rank: number;
  /** 0: the group is dynamic. */
  readonly worldSize: number;
  readonly masterAddr: string;
  readonly masterPort: number;
  readonly incarnation: string;
  /** The book of the group, on rank 0. */
  readonly group: Rendezvous | undefined;
  /** Address under which the others reach this worker; undefined: loopback. */
  readonly host: string | undefined;
  /** Secret of the run; undefined: shared through a file that only this user can read. */
  readonly token: string | undefined;
  /** PEM texts with which every connection is encrypted and both ends are known; undefined: none is. */
  readonly tls?: TlsCredentials | undefined;
  /** Whether bytes that the network has changed are to be noticed where it is not encrypted. */
  readonly checksums?: boolean;
  /** Called for each connection that a peer makes, after its identity was checked. */
  readonly accept: (connection: Connection) => void;
}

/** One worker's end of a carrier. */
export interface TransportNode {
  /**
   * Tells the master of this worker; resolves with its answer, see `Rendezvous.join`.
   *
   * @param liveness to be told with it, see `Member.liveness`; given if the transport `carriesLiveness`
   */
  join(timeoutMs: number, liveness?: string): Promise<readonly Member[]>;
  /** The worker has joined its group and can be called: for those who ask from outside. */
  ready?(): void;
  dial(member: Member, timeoutMs: number): Promise<Connection>;
  /** The secret of the run, once the group was joined: who watches a worker proves that it knows it. */
  readonly secret?: string | undefined;
  /** Ends the node: refuses new connections and frees its port; bounded. */
  close(): Promise<void>;
}

/** A carrier: what `init` takes as `transport`. PyTorch: `rpc.backend_registry.register_backend`. */
export interface Transport {
  readonly name: string;
  /**
   * Whether it brings `Member.liveness` to the others, and its nodes know a `secret`. If not, a peer that is silent without
   * its connection breaking is noticed by the calls' own limits alone. Default: false.
   */
  readonly carriesLiveness?: boolean;
  /**
   * Starts listening. Rank 0's node is the master where the others join: it brings each `JoinRequest` to `options.group`.
   * @throws GradwireError (as rejection) `address_in_use`
   */
  start(options: NodeOptions): Promise<TransportNode>;
}
