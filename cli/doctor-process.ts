/** Starts one process of `gradwire doctor --grads`, gathers what it finds, and ends it. Knows nothing of the others. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Results } from '../tensor/conformance/index.ts';
import type { EngineName } from '../tensor/index.ts';

/** What a process says. */
export type Finding =
  | { readonly kind: 'start'; readonly threads: number }
  | {
      readonly kind: 'case';
      readonly name: string;
      /** For each list of shapes; absent if it failed. */
      readonly results?: readonly Results[];
      /** From finite differences, on the engine cpu. */
      readonly difference?: number;
      /** Why it failed. */
      readonly reason?: string;
    }
  | { readonly kind: 'failure'; readonly reason: string }
  | { readonly kind: 'end' };

export type CaseFinding = Extract<Finding, { kind: 'case' }>;

export interface Configuration {
  readonly engine: EngineName;
  readonly threads: number;
}

/** All that one process found. */
export interface Findings extends Configuration {
  readonly cases: ReadonlyMap<string, CaseFinding>;
  /** Why there is nothing, or not everything. */
  readonly reason?: string;
}

/** Longer than the slowest machine needs for all cases on one engine. */
const LIMIT_MS = 300_000;

// It is compiled beside this file, or stands beside it as source where Node runs TypeScript.
const script = fileURLToPath(
  new URL(`./doctor-child${import.meta.url.slice(-3)}`, import.meta.url),
);

/** Runs all cases in a process of its own, which is gone when this resolves, or at once when `signal` aborts. */
export function findingsOf(of: Configuration, signal: AbortSignal): Promise<Findings> {
  const cases = new Map<string, CaseFinding>();
  let failure: string | undefined;
  let isWhole = false;
  const child = fork(script, [of.engine], {
    env: { ...process.env, GRADWIRE_THREADS: String(of.threads) },
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const kill = (): void => void child.kill('SIGKILL');
  const timer = setTimeout(() => {
    failure = `not done after ${LIMIT_MS / 1000} seconds`;
    kill();
  }, LIMIT_MS);
  signal.addEventListener('abort', kill);
  if (signal.aborted) kill();
  child.on('message', (finding: Finding) => {
    if (finding.kind === 'case') cases.set(finding.name, finding);
    else if (finding.kind === 'failure') failure = finding.reason;
    else if (finding.kind === 'end') isWhole = true;
    else if (of.engine === 'wasm' && finding.threads !== of.threads) {
      failure = `computes with ${finding.threads} instead of ${of.threads} threads`;
      kill();
    }
  });
  return new Promise((resolve) => {
    const end = (how: string): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', kill);
      const reason = failure ?? (isWhole ? undefined : how);
      resolve({ ...of, cases, ...(reason !== undefined && { reason }) });
    };
    child.once('error', (error) => end(`could not be started: ${error.message}`));
    // All messages have come by then.
    child.once('close', (code, by) => end(`its process ended with ${by ?? `exit code ${code}`}`));
  });
}
