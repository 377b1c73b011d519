/** The peer: PyTorch on a Python of the machine, driven through the scripts in bench/peers/. */
import { fileURLToPath } from 'node:url';
import { Group } from './group.ts';
import { freePort, outputOf, startCommand } from './processes.ts';

/** Where Debian's own Python is, and what is found first. */
const INTERPRETERS = ['/usr/bin/python3', 'python3'];

const IMPORT_MS = 60_000;

/** How to get one. */
const REMEDY =
  "install Debian's python3-torch and libopenblas0-pthread, or name an interpreter with torch by --peer PYTHON";

// The scripts are not compiled: from dist/bench/ they are at ../../bench/peers/.
const scripts = new URL(
  import.meta.url.endsWith('.ts') ? './peers/' : '../../bench/peers/',
  import.meta.url,
);

export interface PeerGroupOptions {
  /** File in bench/peers/. */
  readonly script: string;
  /** Processes besides the server. Default 1. */
  readonly callers?: number;
  /** Threads of each process. Default 1. */
  readonly threads?: number;
  /** Further flags of the script. */
  readonly flags?: Readonly<Record<string, string>>;
}

/** An interpreter that can import torch. */
export class Peer {
  /** What it is, in words. */
  readonly about: string;
  readonly #python: string;

  constructor(python: string, about: string) {
    this.#python = python;
    this.about = about;
  }

  /** Starts a script on all ranks. @throws Error if one does not join */
  async start({ script, callers = 1, threads = 1, flags = {} }: PeerGroupOptions): Promise<Group> {
    const worldSize = 1 + callers;
    const port = await freePort();
    const env = {
      OMP_NUM_THREADS: String(threads),
      OPENBLAS_NUM_THREADS: String(threads),
      // No folders of bytecode beside the sources.
      PYTHONDONTWRITEBYTECODE: '1',
    };
    const children = Array.from({ length: worldSize }, (_, rank) => {
      const all = { rank, 'world-size': worldSize, port, threads, ...flags };
      const args = Object.entries(all).flatMap(([name, value]) => [`--${name}`, String(value)]);
      return startCommand(this.#python, [fileURLToPath(new URL(script, scripts)), ...args], env);
    });
    const { group } = await Group.of(children, { isPeer: true });
    return group;
  }
}

/** The peer on the interpreter `python`, by default the first that has torch; or one line that says why there is none. */
export async function findPeer(python?: string): Promise<Peer | string> {
  const tried = python === undefined ? INTERPRETERS : [python];
  const script = fileURLToPath(new URL('about.py', scripts));
  let reason = '';
  for (const candidate of tried) {
    try {
      return new Peer(candidate, describe(await outputOf(candidate, [script], IMPORT_MS)));
    } catch (error) {
      reason ||= reasonOf(error as NodeJS.ErrnoException & { readonly stderr?: string });
    }
  }
  return `no peer: ${tried.join(' and ')} cannot import torch (${reason}); ${REMEDY}`;
}

function describe(json: string): string {
  const about: { pytorch: string; python: string; numpy: string; blas: string[] } =
    JSON.parse(json);
  const blas = about.blas.find((file) => file.includes('openblas')) ?? about.blas[0] ?? 'no BLAS';
  return `PyTorch ${about.pytorch}, Python ${about.python}, NumPy ${about.numpy}, ${blas}`;
}

/** The last line of a traceback, or what the system says. */
function reasonOf({ code, stderr, message }: NodeJS.ErrnoException & { stderr?: string }): string {
  if (code === 'ENOENT') return 'there is no such file';
  return stderr?.trimEnd().split('\n').at(-1) || (message.split('\n')[0] ?? message);
}
