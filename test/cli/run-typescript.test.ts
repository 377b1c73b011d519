import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { CliRun, standalone } from '../support/cli.ts';

const canRun = 'typescript' in process.features && process.features.typescript !== false;

test('a TypeScript script runs where Node can, else one line says how', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gradwire-ts-'));
  try {
    const script = join(folder, 'script.mts');
    writeFileSync(
      script,
      'const rank: string | undefined = process.env.RANK;\nconsole.log(rank);\n',
    );
    await using run = new CliRun(standalone(2, script));
    const code = await run.code();
    if (canRun) {
      expect({ code, stderr: run.stderr }).toEqual({ code: 0, stderr: '' });
      expect(run.stdout.split('\n').sort()).toEqual(['', '[0] 0', '[1] 1']);
    } else {
      expect(code).toBe(2);
      expect(run.stderr).toMatch(/^gradwire: Node \S+ does not run TypeScript .*compiled \.js\n$/);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
