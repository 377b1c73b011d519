/**
 * Ends the ranks of a launcher that is gone, even by SIGKILL, whatever they do: a process beside the ranks that knows
 * their process groups and reads from the launcher. When nothing can come any more it kills these groups, with all that
 * ranks have started in them, and ends. It is a shell, because a second Node would cost 40 MB. Where there is no shell,
 * or somebody kills it, the job goes on and `child-guard.ts` alone is left.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

// Only commands that are built into every shell. A group is dropped when its rank has ended: its number may come again.
const SCRIPT = `
trap '' HUP INT QUIT TERM
groups=' '
while read -r change group; do
  case $change in
    add) groups="$groups$group " ;;
    drop) groups="\${groups%% $group *} \${groups#* $group }" ;;
  esac
done
for group in $groups; do kill -9 "-$group"; done
`;

export class Reaper {
  readonly #shell: ChildProcess;
  readonly #isOver: Promise<unknown>;

  /** Starts it in a session of its own, where no Ctrl-C and no end of the terminal reaches it. */
  constructor() {
    this.#shell = spawn('/bin/sh', ['-c', SCRIPT, 'gradwire-reaper'], {
      // Our output must not stay open when we are gone.
      stdio: ['pipe', 'ignore', 'ignore'],
      cwd: '/',
      env: {},
      detached: true,
    });
    this.#isOver = once(this.#shell, 'exit').catch(() => undefined);
    this.#shell.on('error', () => undefined);
    this.#shell.stdin?.on('error', () => undefined);
  }

  get pid(): number | undefined {
    return this.#shell.pid;
  }

  /** @param group number of a process group, which is the pid of its first process */
  add(group: number): void {
    this.#shell.stdin?.write(`add ${group}\n`);
  }

  /** Forgets a group that has ended. */
  drop(group: number): void {
    this.#shell.stdin?.write(`drop ${group}\n`);
  }

  /** Ends the reaper and nothing else, also one that somebody has stopped. */
  async close(): Promise<void> {
    this.#shell.kill('SIGKILL');
    await this.#isOver;
  }
}
