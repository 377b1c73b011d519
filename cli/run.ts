/** `gradwire run`: checks the command line and the script, picks port, token and name of the run, and runs the job. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { extname } from 'node:path';
import { BackPressure } from './back-pressure.ts';
import { Job } from './job.ts';
import { JobOutput } from './job-output.ts';
import { RankLogs } from './rank-logs.ts';
import { parseRunOptions, RUN_USAGE } from './run-options.ts';
import { Screen } from './terminal.ts';
import { UsageError } from './usage-error.ts';

const TOKEN_BYTES = 32;

/**
 * @param args what follows `run` on the command line
 * @returns the exit code: 0, that of the first rank that failed, or 128 + n after signal n
 * @throws UsageError if the command line makes no sense
 */
export async function run(args: readonly string[]): Promise<number> {
  const options = parseRunOptions(args);
  if (options === 'help') {
    process.stdout.write(`${RUN_USAGE}\n`);
    return 0;
  }
  await checkScript(options.script);
  const runId = newRunId();
  const { processCount: worldSize, resultRank, logDir } = options;
  const logs = logDir === undefined ? undefined : new RankLogs({ dir: logDir, runId, worldSize });
  try {
    const { stdout, stderr } = process;
    const screen = new Screen({ stdout, stderr }, process.env);
    const pressure = new BackPressure([stdout, stderr]);
    const job = new Job(
      {
        worldSize,
        port: await freePort(),
        runId,
        token: randomBytes(TOKEN_BYTES).toString('hex'),
        script: options.script,
        scriptArgs: options.scriptArgs,
        isTerminal: stdout.isTTY === true,
      },
      new JobOutput({ screen, pressure, logs, resultRank }),
    );
    return await job.run();
  } finally {
    logs?.close();
  }
}

/** Names a run by when it starts, so that names sort by time, and by chance. */
function newRunId(): string {
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  return `${time}-${randomBytes(3).toString('hex')}`;
}

async function checkScript(script: string): Promise<void> {
  const found = await stat(script).catch(() => undefined);
  if (found?.isFile() !== true) throw new UsageError(`there is no script ${script}`);
  if (/^\.[cm]?ts$/.test(extname(script)) && !canRunTypeScript()) {
    throw new UsageError(
      `Node ${process.versions.node} does not run TypeScript (22.18 and later do): build it and run the compiled .js`,
    );
  }
}

/** Node says so itself where it can; a loader given by flags or NODE_OPTIONS is taken at its word. */
function canRunTypeScript(): boolean {
  const features: object = process.features;
  const { NODE_OPTIONS = '' } = process.env;
  const flags = [...process.execArgv, ...NODE_OPTIONS.split(/\s+/)];
  const hasLoader = flags.some((flag) => /^(--import|--loader|--require|-r)\b/.test(flag));
  return hasLoader || ('typescript' in features && Boolean(features.typescript));
}

/** A port that is free now. Another program may take it before rank 0 does, which then fails with `address_in_use`. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
