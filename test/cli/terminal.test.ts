import { expect, test } from '@jest/globals';
import { Screen, type Sink } from '../../cli/terminal.ts';

/** A terminal of a few rows that understands what Screen writes; `text` is what stands on it. */
class FakeTerminal implements Sink {
  readonly isTTY = true;
  readonly columns = 20;
  readonly rows: number = 4;
  #lines = [''];
  #row = 0;

  write(text: string): void {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: terminals are driven by them
    for (const [token] of text.matchAll(/\x1b\[\??\d*[A-Za-z]|[\r\n]|[^\x1b\r\n]+/g)) {
      if (token === '\n') {
        this.#row += 1;
        this.#lines[this.#row] ??= '';
      } else if (token.endsWith('A') && token.startsWith('\x1b')) {
        this.#row -= Number(token.slice(2, -1));
      } else if (token === '\x1b[J') {
        this.#lines.length = this.#row + 1;
        this.#lines[this.#row] = '';
      } else if (token !== '\r' && !token.startsWith('\x1b')) {
        this.#lines[this.#row] += token;
      }
    }
  }

  get text(): string[] {
    return this.#lines;
  }
}

class Pipe implements Sink {
  text = '';
  write(text: string): void {
    this.text += text;
  }
}

test('status lines stay at the bottom, by rank, around lines of both streams', () => {
  const terminal = new FakeTerminal();
  const screen = new Screen({ stdout: terminal, stderr: terminal }, { NO_COLOR: '1' });
  screen.status(1, 'step 1');
  screen.status(0, 'serving');
  screen.line('stdout', 1, 'hello');
  screen.line('stderr', 0, 'oh');
  screen.status(1, 'step 2');
  expect(terminal.text).toEqual(['[1] hello', '[0] oh', '[0] serving', '[1] step 2']);
  screen.status(0, '');
  expect(terminal.text).toEqual(['[1] hello', '[0] oh', '[1] step 2']);
  screen.close();
  screen.plain('stdout', 'result');
  expect(terminal.text).toEqual(['[1] hello', '[0] oh', 'result', '']);
});

test('a status is clipped to the width, and there are never more than fit', () => {
  const terminal = new FakeTerminal();
  const screen = new Screen({ stdout: terminal, stderr: terminal }, { NO_COLOR: '1' });
  for (let rank = 0; rank < 6; rank++) screen.status(rank, 'x'.repeat(50));
  expect(terminal.text).toEqual([0, 1, 2].map((rank) => `[${rank}] ${'x'.repeat(16)}`));
});

test('without a terminal there is no status, no colour and no escape', () => {
  const [stdout, stderr] = [new Pipe(), new Pipe()];
  const screen = new Screen({ stdout, stderr }, {});
  screen.status(0, 'step 1');
  screen.line('stdout', 0, 'hello');
  screen.line('stderr', 1, 'oh');
  screen.close();
  expect(stdout.text).toBe('[0] hello\n');
  expect(stderr.text).toBe('[1] oh\n');
});

test('a terminal has coloured prefixes unless NO_COLOR says otherwise, and FORCE_COLOR before it', () => {
  const drawn = (env: NodeJS.ProcessEnv, isTTY = true): string => {
    const pipe = Object.assign(new Pipe(), { isTTY });
    new Screen({ stdout: pipe, stderr: pipe }, env).line('stdout', 0, 'x');
    return pipe.text;
  };
  expect(drawn({})).toBe('\x1b[36m[0]\x1b[39m x\n');
  expect(drawn({ NO_COLOR: '' })).toBe('\x1b[36m[0]\x1b[39m x\n');
  expect(drawn({ NO_COLOR: '1' })).toBe('[0] x\n');
  expect(drawn({ FORCE_COLOR: '0' })).toBe('[0] x\n');
  expect(drawn({ FORCE_COLOR: '1', NO_COLOR: '1' }, false)).toBe('\x1b[36m[0]\x1b[39m x\n');
});
