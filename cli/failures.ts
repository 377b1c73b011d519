/**
 * Which of several failures was the first, and the report about them. A rank that dies takes others with it, and they may
 * be seen before it. Pure.
 */
import type { Tail } from './job-output.ts';
import type { RankEnd } from './launch.ts';

/** Two ends that are seen within this time may have happened in the other order. */
const UNORDERED_MS = 500;
/** How many lines of a remote stack are shown. */
const STACK_LINES = 30;

export interface Failures {
  /** The rank that failed by itself. */
  readonly first: RankEnd;
  /** The others, in order. */
  readonly later: readonly RankEnd[];
}

/**
 * Puts the failures in order. What a signal has killed, or what never started, did not fail because of another rank, so it
 * goes before what was seen at about the same time; the others go by when they say that they failed.
 */
export function orderFailures(ends: readonly RankEnd[]): Failures | undefined {
  const firstSeenMs = Math.min(...ends.map(({ seenAtMs }) => seenAtMs));
  const isFromOutside = ({ signal, startError, seenAtMs }: RankEnd) =>
    (signal !== null || startError !== undefined) && seenAtMs - firstSeenMs <= UNORDERED_MS;
  const [first, ...later] = [...ends].sort(
    (a, b) => Number(isFromOutside(b)) - Number(isFromOutside(a)) || timeOf(a) - timeOf(b),
  );
  return first && { first, later };
}

function timeOf({ saidAtMs, seenAtMs }: RankEnd): number {
  return saidAtMs ?? seenAtMs;
}

export interface ReportContext {
  readonly host: string;
  readonly tailOf: (rank: number) => Tail;
  readonly logOf: (rank: number) => string | undefined;
  /** Ranks that still run and are stopped now. */
  readonly running: readonly number[];
}

/** The report of a job that failed: the first failure in full, a line for each of the others. */
export function failureReport({ first, later }: Failures, context: ReportContext): string {
  const { rank, error } = first;
  const tail = context.tailOf(rank);
  const log = context.logOf(rank);
  const lines = [`gradwire: rank ${rank} ${describe(first)}`, `    ${origin(first, context.host)}`];
  if (error !== undefined) lines.push(...indent(`error: ${error.text}`));
  if (error?.remoteStack !== undefined) {
    lines.push(`    stack on ${error.peer ?? 'the other worker'}:`);
    lines.push(...indent(error.remoteStack, 8).slice(0, STACK_LINES));
  }
  if (tail.lines.length > 0 && !tail.isOnScreen) {
    lines.push(`    last lines on ${tail.stream}:`, ...indent(tail.lines.join('\n'), 8));
  }
  if (log !== undefined) lines.push(`    log: ${log}`);
  for (const end of later) lines.push(laterLine(end, context));
  if (context.running.length > 0) lines.push(`gradwire: stopping ${ranks(context.running)}`);
  return lines.join('\n');
}

function laterLine(end: RankEnd, { tailOf }: ReportContext): string {
  const tail = tailOf(end.rank);
  // What it wrote to stdout is no reason.
  const said = end.error?.text ?? (tail.stream === 'stderr' ? lastMessage(tail.lines) : undefined);
  const name = end.workers.length > 0 ? ` (${end.workers.join(', ')})` : '';
  const reason = said === undefined ? '' : `: ${said.split('\n', 1)[0]}`;
  return `gradwire: rank ${end.rank}${name} then ${describe(end)}${reason}`;
}

/** The last line that is no part of a stack. */
function lastMessage(lines: readonly string[]): string | undefined {
  return lines.findLast((line) => /^\S/.test(line) && !/^(\}|Node\.js v)/.test(line));
}

function origin({ workers, pid, saidAtMs, seenAtMs }: RankEnd, host: string): string {
  const at = new Date(saidAtMs ?? seenAtMs).toISOString();
  const who = workers.length > 0 ? [`worker ${workers.join(', ')}`] : [];
  const process = pid === undefined ? `on ${host}` : `pid ${pid} on ${host}`;
  return [...who, process, at].join(', ');
}

function describe({ code, signal, startError }: RankEnd): string {
  if (startError !== undefined) return `could not be started: ${startError}`;
  if (signal !== null) return `was killed by ${signal}`;
  return `failed with exit code ${code}`;
}

function indent(text: string, columns = 4): string[] {
  return text.split('\n').map((line) => `${' '.repeat(columns)}${line}`);
}

function ranks(numbers: readonly number[]): string {
  return `${numbers.length === 1 ? 'rank' : 'ranks'} ${numbers.join(', ')}`;
}
