/** T16: the token of a run is in nothing that it says, by any process, whatever goes wrong, nor in what other users can see. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { init } from '../../rpc/init.ts';
import { CliRun, descendants, fixture, RANK_SCRIPT, standalone } from '../support/cli.ts';
import { CommandedGroup, TOKEN } from '../support/commanded.ts';

const LIMIT_MS = 120_000;
const WRONG = 'another-canary-31d5';
const { NODE_DEBUG } = process.env;

beforeAll(() => {
  process.env['NODE_DEBUG'] = 'gradwire';
});
afterAll(() => {
  if (NODE_DEBUG === undefined) delete process.env['NODE_DEBUG'];
  else process.env['NODE_DEBUG'] = NODE_DEBUG;
});

/** All that can be read of an error. */
function shown(error: unknown): string {
  const { stack, message, cause } = error as Error;
  return [stack, message, JSON.stringify(error), cause === undefined ? '' : shown(cause)].join(
    '\n',
  );
}

/** The arguments of a process, where the kernel shows them. */
function argumentsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

function expectNoToken(texts: readonly string[]): void {
  for (const text of texts) {
    expect(text).not.toContain(TOKEN);
    expect(text).not.toContain(WRONG);
  }
}

test(
  'T16: workers that log all, fail, are killed and refuse strangers',
  async () => {
    await using group = await CommandedGroup.start(3, { heartbeatMs: 200, deadAfterMs: 2_500 });
    const [first, second, third] = [group.at(0), group.at(1), group.at(2)];
    const texts = [first, second, third].map(({ pid }) => argumentsOf(pid));
    await first.do('make', 'worker1');
    await first.do('call', 'worker1', 'bump');
    const common = { name: 'x', rank: 1, worldSize: 3, engine: 'cpu', token: WRONG } as const;
    const joining = init({ ...common, masterPort: group.port, initTimeoutMs: 30_000 });
    const outcomes = await Promise.allSettled([
      joining,
      first.do('call', 'worker1', 'nowhere'),
      first.do('call', 'worker2', 'die'),
      second.do('shutdown', { graceful: false }),
    ]);
    await first.saw('dead worker2');
    outcomes.push(...(await Promise.allSettled([first.do('use', 0), first.do('barrier')])));
    const errors = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
    expect(errors.length).toBeGreaterThanOrEqual(4);
    expect(shown(errors[0])).toMatch(/unauthenticated/);
    await first.do('shutdown', { graceful: false });
    for (const { stdout, stderr } of [first, second, third]) texts.push(stdout, stderr);
    expect(texts.join('\n')).toMatch(/GRADWIRE \d+: /);
    expectNoToken([...texts, ...errors.map(shown)]);
  },
  LIMIT_MS,
);

test(
  'T16: the launcher and its ranks, of which one fails',
  async () => {
    await using run = new CliRun(standalone(2, RANK_SCRIPT, 'exit', '3', '1'), {
      flags: ['--import', fixture('say-pid')],
      env: { GRADWIRE_TOKEN: TOKEN },
    });
    await run.pids(2);
    const texts = [run.pid, ...descendants(run.pid)].map(argumentsOf);
    expect(await run.code()).toBe(3);
    expectNoToken([...texts, run.stdout, run.stderr]);
  },
  LIMIT_MS,
);
