/** What `init` is told, by options and environment, checked before anything is started. Pure. */
import { inspect } from 'node:util';
import { GradwireError } from '../errors.ts';
import type { EngineName } from '../tensor/index.ts';
import type { FaultPlan } from './faults/fault-plan.ts';
import { planGiven } from './faults/plan-given.ts';
import { type PeerLimits, peerLimits } from './peer-limits.ts';
import { isLoopback } from './security.ts';
import { tlsGiven } from './tls.ts';
import type { TlsCredentials } from './tls-credentials.ts';
import { DYNAMIC, MAX_RANK, type Transport } from './transport.ts';
import { nameFault } from './worker-info.ts';

export interface InitOptions extends Partial<PeerLimits> {
  /** Unique in the group: letters, digits, `_ : -`, shorter than 128. */
  readonly name: string;
  /** Unique in the group, in a static one 0 to worldSize - 1; rank 0 is the master where the others meet. Default: RANK. */
  readonly rank?: number;
  /**
   * Number of workers of the group. Default: WORLD_SIZE; if that is not set either, or with `dynamic`, workers join and
   * leave the group as they like.
   */
  readonly worldSize?: number | 'dynamic';
  /** `env://` (the default) or `tcp://host:port?rank=…&world_size=…`, as in PyTorch; either may be left out. */
  readonly initMethod?: string;
  /** Host of rank 0. Default: MASTER_ADDR, else 127.0.0.1. */
  readonly masterAddr?: string;
  /** Port of rank 0. Default: MASTER_PORT, else 29500. */
  readonly masterPort?: number;
  /** How long to wait for the group to be complete and connected, in ms. Default: 60,000. */
  readonly initTimeoutMs?: number;
  /** Time limit of calls that set none, in ms. Default: 60,000. */
  readonly timeoutMs?: number;
  /** Address under which the others reach this worker. Default: loopback. */
  readonly host?: string;
  /** Secret of the run, the same for all workers. Default: GRADWIRE_TOKEN, else a file that only this user can read. */
  readonly token?: string;
  /**
   * Certificates, with which all connections are encrypted and both ends know each other: TLS 1.3. Needed beyond loopback; all
   * workers of a group or none. Default: GRADWIRE_TLS_CERT, GRADWIRE_TLS_KEY and GRADWIRE_TLS_CA, else none.
   */
  readonly tls?: TlsCredentials;
  /** Lets the group span hosts without encryption, for networks where nobody else is. Default: false. */
  readonly insecure?: boolean;
  /**
   * Ends the connections that this worker makes when bytes were changed on the way: CRC-32, some 0.2 ms per MiB at each
   * end. The carrier `grpc` has them; encrypted connections need none. Default: beyond loopback without TLS.
   */
  readonly checksums?: boolean;
  /** What carries the messages. Default: `grpc`; `memory` for several workers in one process. */
  readonly transport?: 'grpc' | 'memory' | Transport;
  /** Longest message in bytes that is sent or accepted, at least 64 KiB. Default: 1 GiB. */
  readonly maxMessageBytes?: number;
  /**
   * Calls to one worker that may wait for their answer; further ones are held here in order, unless they are made in handling
   * a call. Infinity is allowed. Default: 10,000.
   */
  readonly maxInFlightCalls?: number;
  /** Calls to one worker that may be held; further ones are refused as `overloaded`. Default: 10,000. */
  readonly maxQueuedCalls?: number;
  /**
   * How often those that watch a peer get a sign of life from it, in ms, at least 20. Signs of life come from a thread of their
   * own: a worker that computes for minutes gives them. Default: 500.
   */
  readonly heartbeatMs?: number;
  /**
   * How long a peer may give no sign of life, in ms, before it counts as dead and is heard no longer: stopped, cut off, or its
   * machine gone. A process that ends is noticed at once. At least three times `heartbeatMs`; after two thirds of
   * it the peer is suspected (`worker.events()`). Infinity: peers are not watched. Default: 3,000, for local networks.
   */
  readonly deadAfterMs?: number;
  /**
   * Port on which this process listens for those that watch it; one process of a host can have it. Default: 0, any free port.
   */
  readonly livenessPort?: number;
  /**
   * How long a worker that shares references may be silent, in ms, before its connection is ended and what it held is
   * freed. Whoever gives signs of life is not silent, however long it computes. Default: 10,000. For a peer that gives none
   * (`deadAfterMs: Infinity`, a transport without liveness) it must be longer than any stretch of work in which
   * that does not return to its event loop; the default is then 300,000.
   */
  readonly referenceLeaseMs?: number;
  /**
   * Faults for tests, by rules such as `call=drop:0.05,gradient=delay:50ms`: see `FaultPlan` of `gradwire/testing`.
   * Default: GRADWIRE_CHAOS, with the seed of GRADWIRE_CHAOS_SEED.
   */
  readonly chaos?: string | FaultPlan;
  /** Tensor engine to start, on GRADWIRE_THREADS threads. Default: GRADWIRE_ENGINE, else wasm. */
  readonly engine?: EngineName;
}

/** Options whose absence means something. */
type Unfilled = 'host' | 'token' | 'tls' | 'engine' | 'referenceLeaseMs' | 'chaos';

export type ResolvedOptions = Required<Omit<InitOptions, 'initMethod' | 'worldSize' | Unfilled>> &
  Pick<InitOptions, Exclude<Unfilled, 'chaos'>> & {
    /** 0: the group is dynamic. */
    readonly worldSize: number;
    readonly chaos?: FaultPlan;
  };

type Environment = Readonly<Record<string, string | undefined>>;

/** What timers can count, about 24 days. */
const MAX_INIT_TIMEOUT_MS = 2 ** 31 - 1;
const LEAST_MESSAGE_LIMIT_BYTES = 64 * 1024;

/** Fills what is not given from `env`. @throws GradwireError `invalid_argument`, `insecure_address` */
export function resolveOptions(options: InitOptions, env: Environment): ResolvedOptions {
  if (typeof options !== 'object' || options === null) {
    throw invalid('init takes an object of options, with at least a name');
  }
  const url = readInitMethod(options.initMethod ?? 'env://');
  const rank = options.rank ?? url.rank ?? integer('RANK', env);
  const given = options.worldSize ?? url.worldSize ?? integer('WORLD_SIZE', env) ?? 'dynamic';
  if (rank === undefined) throw invalid('no rank: give the option rank, or set RANK');
  if (given !== 'dynamic') checkWorldSize(given);
  const masterAddr = numeric(
    options.masterAddr ?? url.masterAddr ?? text('MASTER_ADDR', env) ?? '127.0.0.1',
  );
  const { host } = options;
  const tls = tlsGiven(options.tls, env);
  const resolved: ResolvedOptions = {
    name: options.name,
    rank,
    worldSize: given === 'dynamic' ? DYNAMIC : given,
    masterAddr,
    masterPort: options.masterPort ?? url.masterPort ?? integer('MASTER_PORT', env) ?? 29500,
    initTimeoutMs: Math.min(
      checkTimeout('initTimeoutMs', options.initTimeoutMs ?? 60_000),
      MAX_INIT_TIMEOUT_MS,
    ),
    timeoutMs: options.timeoutMs ?? 60_000,
    insecure: options.insecure ?? false,
    checksums: options.checksums ?? isInClear({ masterAddr, host, tls }),
    transport: options.transport ?? 'grpc',
    maxMessageBytes: options.maxMessageBytes ?? 1024 ** 3,
    maxInFlightCalls: options.maxInFlightCalls ?? 10_000,
    maxQueuedCalls: options.maxQueuedCalls ?? 10_000,
    ...peerLimits(options),
    heartbeatMs: options.heartbeatMs ?? 500,
    deadAfterMs: options.deadAfterMs ?? Math.max(3_000, 3 * (options.heartbeatMs ?? 0)),
    livenessPort: options.livenessPort ?? 0,
    ...pick('host', host),
    ...pick('token', options.token ?? text('GRADWIRE_TOKEN', env)),
    ...pick('tls', tls),
    ...pick('engine', options.engine),
    ...pick('referenceLeaseMs', options.referenceLeaseMs),
    ...pick('chaos', planGiven(options.chaos, env)),
  };
  check(resolved);
  return resolved;
}

function check(options: ResolvedOptions): void {
  const { name, rank, worldSize, masterAddr, masterPort, host, token } = options;
  const fault = nameFault(name);
  if (fault !== undefined) throw invalid(fault);
  if (typeof rank !== 'number') throw invalid(`rank ${inspect(rank)} is no number`);
  const lastRank = worldSize === DYNAMIC ? MAX_RANK : worldSize - 1;
  if (!Number.isInteger(rank) || rank < 0 || rank > lastRank) {
    const world = worldSize === DYNAMIC ? 'dynamic group' : `world size ${worldSize}`;
    throw invalid(`rank ${rank} is not between 0 and ${lastRank} (${world})`);
  }
  if (!Number.isInteger(masterPort) || masterPort < 1 || masterPort > 65535) {
    throw invalid(`masterPort ${masterPort} is not a port`);
  }
  checkTimeout('timeoutMs', options.timeoutMs);
  if (options.referenceLeaseMs !== undefined) {
    checkTimeout('referenceLeaseMs', options.referenceLeaseMs);
  }
  checkLiveness(options);
  const { transport } = options;
  if (!isTransport(transport)) {
    const given = typeof transport === 'string' ? transport : `(${typeof transport})`;
    throw invalid(`transport ${given} is neither 'grpc' nor 'memory', nor an object with start()`);
  }
  const { maxMessageBytes } = options;
  if (!Number.isSafeInteger(maxMessageBytes) || maxMessageBytes < LEAST_MESSAGE_LIMIT_BYTES) {
    throw invalid(`maxMessageBytes ${maxMessageBytes} is not a whole number of at least 64 KiB`);
  }
  checkCount('maxInFlightCalls', options.maxInFlightCalls, 1);
  checkCount('maxQueuedCalls', options.maxQueuedCalls, 0);
  const exposed = exposedAddress(options);
  if (exposed !== undefined && options.tls === undefined && !options.insecure) {
    throw new GradwireError(
      'insecure_address',
      `${exposed} is beyond this host, and messages are not encrypted: give tls, or GRADWIRE_TLS_CERT, GRADWIRE_TLS_KEY ` +
        'and GRADWIRE_TLS_CA (gradwire certs makes some), or set insecure: true if nobody else is on that network',
      { stage: 'init' },
    );
  }
  // It travels in a header.
  if (token !== undefined && (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token))) {
    throw invalid('the token must be printable ASCII without blanks, and not empty');
  }
  if (exposed !== undefined && token === undefined) {
    throw invalid('a group that spans hosts needs a token: set GRADWIRE_TOKEN for all workers');
  }
  if (!isLoopback(masterAddr) && rank > 0 && host === undefined) {
    throw invalid('host is needed: the address under which the others reach this worker');
  }
}

function checkLiveness({ heartbeatMs, deadAfterMs, livenessPort }: ResolvedOptions): void {
  checkTimeout('deadAfterMs', deadAfterMs);
  if (!(heartbeatMs >= 20 && heartbeatMs <= 60_000)) {
    throw invalid(`heartbeatMs ${heartbeatMs} is not between 20 and 60,000 ms`);
  }
  if (deadAfterMs < 3 * heartbeatMs) {
    const message = `deadAfterMs ${deadAfterMs} is less than three times heartbeatMs ${heartbeatMs}`;
    throw invalid(`${message}: a single sign of life that is late would be a death`);
  }
  if (!Number.isInteger(livenessPort) || livenessPort < 0 || livenessPort > 65535) {
    throw invalid(`livenessPort ${livenessPort} is not a port`);
  }
}

/** An address of this worker or of the master that is not on this host. */
export function exposedAddress(options: {
  readonly masterAddr: string;
  readonly host?: string | undefined;
}): string | undefined {
  return [options.masterAddr, options.host].find(
    (address) => address !== undefined && !isLoopback(address),
  );
}

/** Whether messages leave this host without encryption. */
export function isInClear(
  options: Parameters<typeof exposedAddress>[0] & { readonly tls?: TlsCredentials | undefined },
): boolean {
  return options.tls === undefined && exposedAddress(options) !== undefined;
}

function checkWorldSize(worldSize: number): void {
  if (Number.isInteger(worldSize) && worldSize > 0) return;
  throw invalid(
    `world size ${worldSize} is not a whole number of at least 1; for a group without one: 'dynamic'`,
  );
}

function isTransport(transport: unknown): boolean {
  if (typeof transport === 'string') return transport === 'grpc' || transport === 'memory';
  if (typeof transport !== 'object' || transport === null) return false;
  return 'start' in transport && typeof transport.start === 'function';
}

/** Processes of the group on this host, as far as can be told: all, if the master can be reached from here only. */
export function localProcesses({ transport, masterAddr, worldSize }: ResolvedOptions): number {
  const isTold = transport !== 'memory' && worldSize !== DYNAMIC && isLoopback(masterAddr);
  return isTold ? worldSize : 1;
}

/** @throws GradwireError `invalid_argument` unless positive; Infinity is allowed */
export function checkTimeout(name: string, timeoutMs: number): number {
  if (typeof timeoutMs === 'number' && timeoutMs > 0) return timeoutMs;
  throw invalid(`${name} ${inspect(timeoutMs)} is not a positive number of milliseconds`);
}

function checkCount(name: string, count: number, least: number): void {
  const isCount = Number.isSafeInteger(count) || count === Number.POSITIVE_INFINITY;
  if (!isCount || count < least)
    throw invalid(`${name} ${inspect(count)} is not a number from ${least} on`);
}

interface FromUrl {
  readonly rank?: number;
  readonly worldSize?: number;
  readonly masterAddr?: string;
  readonly masterPort?: number;
}

function readInitMethod(text: string): FromUrl {
  if (text === 'env://') return {};
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'tcp:' || url.hostname === '' || url.port === '') {
    throw invalid(`initMethod ${text} is neither env:// nor tcp://host:port`);
  }
  const rank = url.searchParams.get('rank');
  const worldSize = url.searchParams.get('world_size');
  return {
    masterAddr: url.hostname.replace(/^\[|\]$/g, ''),
    masterPort: Number(url.port),
    ...(rank === null ? {} : { rank: wholeNumber('rank=', rank) }),
    ...(worldSize === null ? {} : { worldSize: wholeNumber('world_size=', worldSize) }),
  };
}

/** `localhost` may be ::1 for one worker and 127.0.0.1 for another. */
function numeric(host: string): string {
  return host === 'localhost' ? '127.0.0.1' : host;
}

/** A variable that is set and not empty. */
function text(name: string, env: Environment): string | undefined {
  return env[name] === '' ? undefined : env[name];
}

function integer(name: string, env: Environment): number | undefined {
  const value = text(name, env);
  return value === undefined ? undefined : wholeNumber(`${name}=`, value);
}

function wholeNumber(name: string, value: string): number {
  if (/^\d+$/.test(value)) return Number(value);
  throw invalid(`${name}${value} is not a whole number`);
}

function pick<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: V });
}

function invalid(message: string): GradwireError {
  return new GradwireError('invalid_argument', message, { stage: 'init' });
}
