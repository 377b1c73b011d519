/** How many threads an engine computes with. Pure. */
import { GradwireError } from '../../errors.ts';

/** The engine computes with no more, however many there are. */
const MOST = 8;

/** What decides. */
export interface Machine {
  readonly env: NodeJS.ProcessEnv;
  readonly cores: number;
  /** Processes of the job on this host, if nothing in the environment says it. */
  readonly localProcesses: number;
}

/**
 * `GRADWIRE_THREADS`, or else the share of this process in the cores of the host: cores divided by `LOCAL_WORLD_SIZE`,
 * which the launcher sets, at least 1 and at most 8.
 *
 * @throws GradwireError `invalid_argument` if `GRADWIRE_THREADS` is not a whole number from 1 to 8
 */
export function threadCount({ env, cores, localProcesses }: Machine): number {
  const asked = askedThreads(env);
  if (asked !== undefined) return asked;
  const { LOCAL_WORLD_SIZE: launched = '' } = env;
  const processes = /^[1-9]\d*$/.test(launched) ? Number(launched) : localProcesses;
  return Math.min(MOST, Math.max(1, Math.floor(cores / processes)));
}

/** What the user asked for, if anything. @throws GradwireError as `threadCount` */
export function askedThreads(env: NodeJS.ProcessEnv): number | undefined {
  const { GRADWIRE_THREADS: asked = '' } = env;
  if (asked === '') return undefined;
  const count = /^\d$/.test(asked) ? Number(asked) : 0;
  if (count >= 1 && count <= MOST) return count;
  throw new GradwireError(
    'invalid_argument',
    `GRADWIRE_THREADS is '${asked}', expected a whole number from 1 to ${MOST}, which is the most that the engine computes with`,
  );
}
