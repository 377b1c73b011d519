/** The program in the README runs as it stands there, under plain Node, and does what the text says. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { fencedBlocks, ROOT, readText } from '../support/documents.ts';

const run = promisify(execFile);
const TIMEOUT_MS = 25_000;

test.each(['memory', 'grpc'])('the example of the README runs over %s', async (transport) => {
  const readme = readText('README.md');
  const programs = fencedBlocks(readme, 'js');
  expect(programs).toHaveLength(1);
  const program = programs[0] as string;
  expect(program).toContain("transport: 'memory'");
  // A project that has the package installed.
  const folder = await mkdtemp(join(tmpdir(), 'gradwire-readme-'));
  try {
    await mkdir(join(folder, 'node_modules'));
    await symlink(ROOT, join(folder, 'node_modules', 'gradwire'));
    const file = join(folder, 'example.mjs');
    const port = transport === 'grpc' ? `, masterPort: ${await freePort()}` : '';
    await writeFile(
      file,
      program.replace("transport: 'memory'", `transport: '${transport}'${port}`),
    );
    const { NODE_OPTIONS: _flags, ...env } = process.env;
    const { stdout, stderr } = await run(process.execPath, [file], { env, timeout: TIMEOUT_MS });
    expect(stderr).toBe('');
    const losses = [...stdout.matchAll(/^step \d+ {2}loss ([\d.]+)$/gm)].map(
      ([, loss]) => loss as string,
    );
    expect(losses).toHaveLength(5);
    expect(losses).toEqual([...losses].sort((a, b) => Number(b) - Number(a)));
    expect(readme).toContain(`falls from ${losses[0]} to ${losses[4]}`);
  } finally {
    await rm(folder, { recursive: true });
  }
});

async function freePort(): Promise<number> {
  const { createServer } = await import('node:net');
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        resolve(typeof address === 'object' && address !== null ? address.port : 0),
      );
    });
  });
}
