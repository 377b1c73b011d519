/**
 * The fuzzer as a process of its own, so that what nobody catches is seen, and memory is its own:
 * `node dist/test/fuzz/main.js --target decoder|session|live --inputs N --seed S [--only I]`. Prints one line of JSON; the
 * exit code is 1 if anything but a clean refusal was seen, and the message has the seed and the number of the input.
 */
import { parseArgs } from 'node:util';
import { startEngine, tf } from '../../tensor/index.ts';
import { collectGarbage } from '../support/garbage.ts';
import { liveArena, memoryArena } from './arena.ts';
import { decodeOne } from './decoder-target.ts';
import { Dice } from './dice.ts';
import { record } from './scenario.ts';
import { SessionTarget } from './session-target.ts';

const { values } = parseArgs({
  options: {
    target: { type: 'string', default: 'decoder' },
    inputs: { type: 'string', default: '1000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    only: { type: 'string' },
  },
});
const seed = Number(values.seed);
const inputs = Number(values.inputs);
/** Share of the inputs after which memory counts as warm. */
const WARM = 0.2;
/** What may be added after that, in bytes. */
const HEAP_GROWTH = 16 * 2 ** 20;
/** How long one input may keep the processor busy, in ms. */
const BUSY_MS = 1_000;

let now = -1;
let what = '';
const stray: unknown[] = [];
for (const event of ['unhandledRejection', 'uncaughtException'] as const) {
  process.on(event, (error) => stray.push(error));
}

interface Report {
  inputs: number;
  rounds: number;
  slowestMs: number;
  busiestMs: number;
  heapMB: number;
  rssMB: number;
  readonly fates: Record<string, number>;
  seconds: number;
}

async function fuzz(): Promise<Report> {
  await startEngine('cpu');
  const traffic = await record(1);
  const small = traffic.filter(({ bytes }) => bytes.length < 65_536);
  const arena = values.target === 'live' ? liveArena : memoryArena;
  const isDecoder = values.target === 'decoder';
  const session = isDecoder ? undefined : new SessionTarget(await arena(), traffic);
  const tensors = tf.memory().numTensors;
  const report: Report = {
    inputs: 0,
    rounds: 0,
    slowestMs: 0,
    busiestMs: 0,
    heapMB: 0,
    rssMB: 0,
    fates: {},
    seconds: 0,
  };
  const startedAt = performance.now();
  let warm: NodeJS.MemoryUsage | undefined;
  const count = (fate: string): void => {
    report.fates[fate] = (report.fates[fate] ?? 0) + 1;
  };
  for (let round = Number(values.only ?? 0); report.inputs < inputs; round++) {
    now = round;
    const dice = new Dice(seed, round);
    const before = performance.now();
    const busy = process.cpuUsage();
    if (session === undefined) {
      const { how, fate } = decodeOne(dice, small);
      what = how;
      count(fate);
      report.inputs++;
      if (round % 1_000 === 0) await new Promise(setImmediate);
    } else {
      const { how, wasCut, refusals } = await session.play(dice);
      what = how.join('; ');
      for (const code of refusals) count(code);
      if (wasCut) count('cut');
      report.inputs += how.length;
      if (round % 100 === 0) await session.check();
    }
    const tookMs = performance.now() - before;
    report.slowestMs = Math.max(report.slowestMs, tookMs);
    const busyMs = process.cpuUsage(busy).user / 1000;
    report.busiestMs = Math.max(report.busiestMs, busyMs);
    if (busyMs > BUSY_MS) throw new Error(`one input took ${busyMs} ms: ${what}`);
    if (stray.length > 0) throw new Error('nobody caught an error', { cause: stray[0] });
    report.rounds++;
    if (values.only !== undefined) {
      console.error(what);
      break;
    }
    if (warm === undefined && report.inputs >= WARM * inputs) warm = await memory();
  }
  await session?.check();
  const left = tf.memory().numTensors - tensors;
  if (left !== 0) throw new Error(`${left} tensors are left`);
  const end = await memory();
  const base = warm ?? end;
  report.heapMB = round1((end.heapUsed + end.external - base.heapUsed - base.external) / 2 ** 20);
  report.rssMB = round1((end.rss - base.rss) / 2 ** 20);
  report.slowestMs = round1(report.slowestMs);
  report.busiestMs = round1(report.busiestMs);
  report.seconds = round1((performance.now() - startedAt) / 1000);
  await session?.[Symbol.asyncDispose]();
  if (report.heapMB * 2 ** 20 > HEAP_GROWTH) throw new Error(`memory grew by ${report.heapMB} MB`);
  return report;
}

/** After what finalizers and weak references still hold has gone, too. */
async function memory(): Promise<NodeJS.MemoryUsage> {
  for (let i = 0; i < 3; i++) {
    collectGarbage();
    await new Promise(setImmediate);
  }
  return process.memoryUsage();
}

function round1(value: number): number {
  return Math.round(value * 10) / 10;
}

try {
  console.log(JSON.stringify({ target: values.target, seed, ...(await fuzz()) }));
} catch (error) {
  console.error(`fuzzer: --target ${values.target} --seed ${seed} --only ${now}:`, error);
  process.exit(1);
}
