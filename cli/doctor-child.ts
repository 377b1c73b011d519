/**
 * The process in which `gradwire doctor --grads` runs all cases on one engine: threads are fixed for each process. It sends
 * what it finds to its parent, case by case, compares nothing but finite differences, and ends with its parent.
 */
import { setImmediate } from 'node:timers/promises';
import { CASES, differenceOf, measure } from '../tensor/conformance/index.ts';
import { type EngineName, getNumThreads, startEngine } from '../tensor/index.ts';
import type { Finding } from './doctor-process.ts';

/** Nobody is left to read it but a debugger. */
const PARENT_GONE = 1;

/** Resolves when the parent has it. */
function say(finding: Finding): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(finding, (error: Error | null) => {
      if (error !== null) process.exit(PARENT_GONE);
      resolve();
    });
  });
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

async function run(engine: EngineName): Promise<void> {
  try {
    await startEngine(engine);
  } catch (error) {
    await say({ kind: 'failure', reason: messageOf(error) });
    return;
  }
  await say({ kind: 'start', threads: getNumThreads() });
  for (const each of CASES) {
    const { name } = each;
    try {
      const results = measure(each);
      // Finite differences are of the engine that the others are compared with.
      const isDerived = engine === 'cpu' && each.kind === 'smooth';
      const difference = isDerived ? differenceOf(each) : undefined;
      await say({ kind: 'case', name, results, ...(difference !== undefined && { difference }) });
    } catch (error) {
      await say({ kind: 'case', name, reason: messageOf(error) });
    }
    // The end of the parent is seen between two turns.
    await setImmediate();
  }
  await say({ kind: 'end' });
}

if (!process.connected) process.exit(PARENT_GONE);
process.once('disconnect', () => process.exit(PARENT_GONE));
// The listener would keep this process alive when all is said.
process.channel?.unref();
await run(process.argv[2] as EngineName);
