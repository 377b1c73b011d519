/** Starts the other processes of a measurement: the only file of bench/ that does. Knows nothing of what they do. */
import { execFile, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { promisify } from 'node:util';

/** A process that belongs to this one. */
export interface Child {
  /** Resolves when it has ended well. Rejects when it has failed. */
  readonly ended: Promise<void>;
  /** Ends it by force; does nothing after its end. */
  kill(): void;
}

/**
 * Starts Node on the module at `url`, with the flags of this process (`--cpu-prof` profiles both) and `env` over its
 * environment. It can tell by its channel to this process (`process.on('disconnect')`) when this process is gone.
 */
export function startNode(url: URL, env: Readonly<Record<string, string>>): Child {
  const child = spawn(process.execPath, [...process.execArgv, url.pathname], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`${url.pathname} ended with ${signal ?? `code ${code}`}`));
    });
  });
  // Whoever waits for it gets the failure; until then it must not end this process.
  ended.catch(() => undefined);
  return { ended, kill: () => void child.kill('SIGKILL') };
}

/** What a command prints on stdout. @throws Error if it fails or takes longer than `timeoutMs` */
export async function outputOf(
  command: string,
  args: readonly string[],
  timeoutMs: number,
): Promise<string> {
  const { stdout } = await promisify(execFile)(command, [...args], { timeout: timeoutMs });
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
