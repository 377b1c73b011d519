/** Over gRPC, and with threads, the weights end where the same maths in one process ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { freePort } from '../support/cluster.ts';

const SCRIPT = fileURLToPath(new URL('../fixtures/seeded-run.js', import.meta.url));

test.each([1, 2])(
  '20 seeded steps of one trainer, with %d threads',
  async (threads) => {
    const port = await freePort();
    const env = { ...process.env, GRADWIRE_THREADS: String(threads), GRADWIRE_TOKEN: 'secret' };
    const ranks = [0, 1].map((rank) =>
      spawn(process.execPath, [SCRIPT, String(rank), String(port)], {
        env,
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    );
    try {
      const [, output] = await Promise.all(ranks.map(({ stdout }) => text(stdout)));
      await Promise.all(ranks.map((rank) => ended(rank)));
      const report: { threads: number; differences: number[] } = JSON.parse(output ?? '');
      expect(report.threads).toBe(threads);
      expect(report.differences).toHaveLength(8);
      expect(Math.max(...report.differences)).toBeLessThanOrEqual(1e-6);
    } finally {
      for (const rank of ranks) rank.kill('SIGKILL');
    }
  },
  90_000,
);

async function ended(rank: ChildProcess): Promise<void> {
  if (rank.exitCode === null && rank.signalCode === null) await once(rank, 'exit');
  expect(rank.exitCode).toBe(0);
}
