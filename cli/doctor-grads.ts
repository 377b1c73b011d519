/** `gradwire doctor --grads`: all cases in one process for each engine, and what that says. */

import type { DoctorOptions } from './doctor-options.ts';
import { type Configuration, findingsOf } from './doctor-process.ts';
import { jsonOf, tableOf } from './doctor-table.ts';
import { titleOf, verdictOf } from './doctor-verdict.ts';
import { signalExitCode } from './launch.ts';

/** What the others are compared with. */
const REFERENCE: Configuration = { engine: 'cpu', threads: 1 };
const OTHERS: readonly Configuration[] = [
  { engine: 'wasm', threads: 1 },
  { engine: 'wasm', threads: 2 },
];
const ENDED_BY = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** @returns 0 if everything agrees, 1 if not, 128 + n after signal n */
export async function doctorGrads({ isJson }: DoctorOptions): Promise<number> {
  const stop = new AbortController();
  let endedBy: NodeJS.Signals | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    endedBy ??= signal;
    stop.abort();
  };
  for (const signal of ENDED_BY) process.on(signal, onSignal);
  const engines = [REFERENCE, ...OTHERS].map(titleOf).join('; ');
  process.stderr.write(`gradwire: running all cases on ${engines}\n`);
  try {
    const [reference, ...others] = await Promise.all([
      findingsOf(REFERENCE, stop.signal),
      ...OTHERS.map((one) => findingsOf(one, stop.signal)),
    ]);
    if (endedBy !== undefined) return signalExitCode(endedBy);
    const verdict = verdictOf(reference, others);
    process.stdout.write(isJson ? jsonOf(verdict) : tableOf(verdict));
    return verdict.isOk ? 0 : 1;
  } finally {
    for (const signal of ENDED_BY) process.off(signal, onSignal);
  }
}
