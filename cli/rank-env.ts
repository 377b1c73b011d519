/** The environment of a rank: torchrun's variables for one host and no restarts, and the secret of the run. Pure. */

export interface RankEnvSpec {
  readonly rank: number;
  readonly worldSize: number;
  /** Free port on loopback, the same for all ranks. */
  readonly port: number;
  /** Names the run; also the folder of its logs. */
  readonly runId: string;
  /** Secret of the run. It goes through the environment only: an argument would show in every process list. */
  readonly token: string;
  /** Whether the launcher's stdout is a terminal, so that live progress is worth writing. */
  readonly isTerminal: boolean;
}

/**
 * @param outer environment of the launcher; what it holds of our variables, of an outer run, is replaced
 */
export function rankEnv(spec: RankEnvSpec, outer: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { GRADWIRE_TTY: _ofOuterRun, ...inherited } = outer;
  const [rank, worldSize] = [String(spec.rank), String(spec.worldSize)];
  return {
    ...inherited,
    RANK: rank,
    LOCAL_RANK: rank,
    GROUP_RANK: '0',
    ROLE_RANK: rank,
    WORLD_SIZE: worldSize,
    LOCAL_WORLD_SIZE: worldSize,
    ROLE_WORLD_SIZE: worldSize,
    MASTER_ADDR: '127.0.0.1',
    MASTER_PORT: String(spec.port),
    TORCHELASTIC_RESTART_COUNT: '0',
    TORCHELASTIC_MAX_RESTARTS: '0',
    TORCHELASTIC_RUN_ID: spec.runId,
    GRADWIRE_TOKEN: spec.token,
    ...(spec.isTerminal ? { GRADWIRE_TTY: '1' } : {}),
  };
}
