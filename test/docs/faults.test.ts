/** The program in FAULTS.md runs as it stands there, and all rules in the page can be read. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { FAULTY_KINDS, readFaultRules } from '../../rpc/faults/fault-rules.ts';
import { codeSpans, fencedBlocks, ROOT, readText } from '../support/documents.ts';

const page = readText('FAULTS.md');

test('the example does what its comments say', async () => {
  const [program = ''] = fencedBlocks(page, 'js');
  const folder = await mkdtemp(join(tmpdir(), 'gradwire-faults-'));
  try {
    await mkdir(join(folder, 'node_modules'));
    await symlink(ROOT, join(folder, 'node_modules', 'gradwire'));
    const file = join(folder, 'example.mjs');
    await writeFile(file, program);
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [file], {
      timeout: 25_000,
    });
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^true b true\n3\n\{\n {2}rule: 'a\/call=drop@1',/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('every kind of message is in the page, and every rule in it can be read', () => {
  const spans = codeSpans(page);
  const named = FAULTY_KINDS.filter((kind) => !['cancel', 'streamCredit'].includes(kind));
  expect(named.filter((kind) => !spans.includes(kind))).toEqual([]);
  const actions = tableSpans('## Connections').map((action) => `connection=${action}`);
  expect(actions.length).toBeGreaterThan(5);
  for (const rule of actions) expect(readFaultRules(rule).connections).toHaveLength(1);
  const environment = /GRADWIRE_CHAOS='([^']+)'/.exec(page)?.[1] ?? '';
  expect(readFaultRules(environment).connections).toHaveLength(2);
});

/** The code in the first cells of the table below a heading. */
function tableSpans(heading: string): string[] {
  const section = page.slice(page.indexOf(heading)).split('\n## ')[0] ?? '';
  return [...section.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell]) => codeSpans(cell ?? ''));
}
