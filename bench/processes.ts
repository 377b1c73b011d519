/**
 * Starts the other processes of a measurement and owns them: the only file of bench/ that does. None of them outlives
 * this process. Knows nothing of what they do.
 */
import { type ChildProcess, execFile, type SpawnOptions, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { promisify } from 'node:util';

/** A process that belongs to this one. */
export interface Child {
  /** What is said to and read from it, where it was started with pipes. */
  readonly process: ChildProcess;
  /** Resolves when it has ended well. Rejects when it has failed. */
  readonly ended: Promise<void>;
  /** Ends it by force, and its group where it has one; does nothing after its end. */
  kill(): void;
  /** Stops it where it stands, or lets it go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
}

const live = new Set<Child>();

/** The module `name` of this folder: compiled beside this file, or source where Node runs TypeScript. */
export function beside(name: string): URL {
  return new URL(`./${name}${import.meta.url.slice(-3)}`, import.meta.url);
}

/**
 * Starts Node on the module at `url`, with the flags of this process (`--cpu-prof` profiles both) and `env` over its
 * environment. The module loads parent.ts, by which it ends with this process. `speaks`: its stdin and stdout are pipes.
 */
export function startNode(
  url: URL,
  env: Readonly<Record<string, string>>,
  { speaks = false }: { readonly speaks?: boolean } = {},
): Child {
  const [stdin, stdout] = speaks ? (['pipe', 'pipe'] as const) : (['ignore', 'inherit'] as const);
  return own(process.execPath, [...process.execArgv, url.pathname], {
    env: { ...process.env, ...env },
    stdio: [stdin, stdout, 'inherit', 'ipc'],
  });
}

/** Starts a command in a process group of its own, with pipes, and `env` over the environment. */
export function startCommand(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Child {
  return own(command, args, { env: { ...process.env, ...env }, stdio: 'pipe', detached: true });
}

function own(command: string, args: readonly string[], options: SpawnOptions): Child {
  const child = spawn(command, args, options);
  const signal = (name: NodeJS.Signals): void => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    if (options.detached) process.kill(-child.pid, name);
    else child.kill(name);
  };
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, by) => {
      if (code === 0) resolve();
      else reject(new Error(`${args[0] ?? command} ended with ${by ?? `code ${code}`}`));
    });
  });
  const owned: Child = { process: child, ended, signal, kill: () => signal('SIGKILL') };
  live.add(owned);
  // Whoever waits for it gets the failure; until then it must not end this process.
  ended.catch(() => undefined).finally(() => live.delete(owned));
  return owned;
}

process.once('exit', () => {
  for (const child of live) child.kill();
});

/** On Ctrl-C and the like: ends this process in order, so that nothing it started is left. */
export function endOnSignals(): void {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.once(signal, () => process.exit(code));
  }
}

/** What a command prints on stdout. @throws Error if it fails or takes longer than `timeoutMs` */
export async function outputOf(
  command: string,
  args: readonly string[],
  timeoutMs: number,
): Promise<string> {
  const options = { timeout: timeoutMs, killSignal: 'SIGKILL' } as const;
  const { stdout } = await promisify(execFile)(command, [...args], options);
  return stdout;
}

/** A port of loopback that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
