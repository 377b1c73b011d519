/** What a chaos proxy does to the connections that pass through it, and that it makes sense. Pure. */
import { GradwireError } from '../../errors.ts';

/** Towards the target of a proxy, or back from it. */
export type Way = 'up' | 'down';

/** Conditions of connections through a `ChaosProxy`. Those of time and `blackHole` can change while a connection lives. */
export interface ProxyConditions {
  /** How much later bytes arrive, each way, in ms. Default: 0. */
  readonly latencyMs?: number;
  /** Up to how much is added to that by chance, in ms; the order stays. Default: 0. */
  readonly jitterMs?: number;
  /** How many bytes pass in a second, each way. Default: no limit. */
  readonly bytesPerSecond?: number;
  /** The way in which nothing passes, not even an end; what was held passes when it is over. Default: none. */
  readonly blackHole?: Way | 'both' | 'none';
  /** New connections are reset at once. Default: false. */
  readonly refuse?: boolean;
  /** The share of new connections that are cut, each after up to 256 KiB. Default: 0. */
  readonly loss?: number;
  /** New connections are reset when so many bytes have passed. Default: never. */
  readonly cutAfterBytes?: number;
  /** The bits of the byte after that many are flipped in new connections. Default: none. */
  readonly flipAfterBytes?: number;
  /** New connections become black holes, both ways, when so many bytes have passed. Default: never. */
  readonly holeAfterBytes?: number;
  /** Which way those bytes are counted. Default: up. */
  readonly way?: Way;
}

/** @throws GradwireError `invalid_argument` */
export function checkConditions(conditions: ProxyConditions): ProxyConditions {
  for (const [name, value] of Object.entries(conditions)) {
    if (typeof value !== 'number') continue;
    const most = name === 'loss' ? 1 : Number.MAX_SAFE_INTEGER;
    const least = name === 'bytesPerSecond' ? 1 : 0;
    if (value >= least && value <= most) continue;
    const message = `${name} ${value} of a chaos proxy is not between ${least} and ${most}`;
    throw new GradwireError('invalid_argument', message);
  }
  return conditions;
}

/** Whether nothing passes that way. */
export function isHole({ blackHole }: ProxyConditions, way: Way): boolean {
  return blackHole === way || blackHole === 'both';
}
