/**
 * Malformed messages by the hundred thousand: 1,000,000 in process and 10,000 over gRPC in `npm run test:long`, a hundredth of
 * each otherwise. Guarantees G1, G2, G3 and G8.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

const FUZZER = fileURLToPath(new URL('main.js', import.meta.url));
const FLAGS = ['--disallow-code-generation-from-strings', '--disable-proto=throw'];
const isLong = process.env['GRADWIRE_TEST_LONG'] === '1';
/** Another in each long run; the same in all others, unless it is given. */
const SEED = process.env['GRADWIRE_TEST_SEED'] ?? (isLong ? String(Date.now() % 2 ** 31) : '1');
const LIMIT_MS = isLong ? 1_800_000 : 120_000;

interface Report {
  readonly inputs: number;
  readonly fates: Readonly<Record<string, number>>;
}

/** Ends with the fuzzer; what it says of a failure has the seed and the input. */
function fuzz(target: string, inputs: number): Promise<Report> {
  const args = [...FLAGS, FUZZER, '--target', target, '--inputs', String(inputs), '--seed', SEED];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { timeout: LIMIT_MS }, (error, stdout, stderr) => {
      if (error === null) resolve(JSON.parse(stdout) as Report);
      else reject(new Error(stderr || error.message));
    });
  });
}

test.each([
  ['decoder', 6_000],
  ['session', 4_000],
  ['live', 100],
])(
  'the %s refuses what is malformed, and nothing else happens',
  async (target, inputs) => {
    const report = await fuzz(target, isLong ? 100 * inputs : inputs);
    expect(report.inputs).toBeGreaterThanOrEqual(isLong ? 100 * inputs : inputs);
    expect(report.fates['protocol_error']).toBeGreaterThan(0);
  },
  LIMIT_MS,
);
