/** Modules in fresh processes of plain Node, under the flags that the package promises to work with. */
import { execFile } from 'node:child_process';

const ENTRY = JSON.stringify(new URL('../../tensor/index.js', import.meta.url).href);
const SAFE = ['--disallow-code-generation-from-strings', '--disable-proto=throw'];
/** Variables of whoever runs the tests that would change what a process does. */
const OURS = ['GRADWIRE_ENGINE', 'GRADWIRE_THREADS', 'LOCAL_WORLD_SIZE', 'NODE_OPTIONS'];

export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number | null;
}

/** Runs a module that finds the exports of tensor/ as variables; kills it after 60 s. */
export function runModule(
  source: string,
  flags: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const script = `import { getNumThreads, startEngine, tf } from ${ENTRY};\n${source}`;
  const args = [...SAFE, ...flags, '--input-type=module', '-e', script];
  const inherited = Object.entries(process.env).filter(([name]) => !OURS.includes(name));
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      args,
      { env: { ...Object.fromEntries(inherited), ...env }, timeout: 60_000 },
      (_error, stdout, stderr) => resolve({ stdout, stderr, exitCode: child.exitCode }),
    );
  });
}
