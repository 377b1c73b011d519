/** One direction of a connection through a chaos proxy: bytes late, slowly, not at all, or changed. Knows no other one. */
import type { Socket } from 'node:net';
import { isHole, type ProxyConditions, type Way } from './proxy-conditions.ts';

/** Bytes that are held before the source is asked to wait, as far as latency alone does not need more. */
const HIGH_WATER_BYTES = 4 * 1024 * 1024;

interface Held {
  /** Undefined: the end. */
  readonly chunk: Buffer | undefined;
  readonly dueAt: number;
}

export interface OneWayOptions {
  readonly way: Way;
  readonly source: Socket;
  readonly sink: Socket;
  conditions(): ProxyConditions;
  random(): number;
  /** The connection is to be reset. */
  cut(): void;
  /** Nothing passes any more, either way. */
  swallow(): void;
}

export class OneWay {
  readonly #options: OneWayOptions;
  readonly #queue: Held[] = [];
  #heldBytes = 0;
  #passed = 0;
  /** When the line is free again. */
  #freeAt = 0;
  #isBlocked = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: OneWayOptions) {
    this.#options = options;
    const { source, sink } = options;
    source.on('data', (chunk: Buffer) => this.#hold(chunk));
    source.on('end', () => this.#hold(undefined));
    sink.on('drain', () => {
      this.#isBlocked = false;
      this.update();
    });
  }

  /** The conditions have changed. */
  update(): void {
    const { source, conditions, way } = this.#options;
    if (isHole(conditions(), way) || this.#heldBytes >= HIGH_WATER_BYTES) source.pause();
    else source.resume();
    this.#release();
  }

  /** Ends the stream that way, after what is held. */
  end(): void {
    this.#hold(undefined);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#queue.length = 0;
  }

  #hold(chunk: Buffer | undefined): void {
    const { latencyMs = 0, jitterMs = 0, bytesPerSecond } = this.#options.conditions();
    const length = chunk?.length ?? 0;
    const takesMs = bytesPerSecond === undefined ? 0 : (length / bytesPerSecond) * 1_000;
    const now = performance.now();
    const lateMs = latencyMs + jitterMs * this.#options.random();
    // What follows does not overtake it.
    this.#freeAt = Math.max(this.#freeAt, now + lateMs) + takesMs;
    this.#queue.push({ chunk, dueAt: this.#freeAt });
    this.#heldBytes += length;
    this.update();
  }

  #release(): void {
    clearTimeout(this.#timer);
    const { conditions, way } = this.#options;
    for (;;) {
      const next = this.#queue[0];
      if (next === undefined || this.#isBlocked || isHole(conditions(), way)) return;
      const waitMs = next.dueAt - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.update(), Math.ceil(waitMs));
        return;
      }
      this.#queue.shift();
      this.#pass(next.chunk);
    }
  }

  #pass(chunk: Buffer | undefined): void {
    const { sink, conditions, way, cut, swallow } = this.#options;
    if (chunk === undefined) {
      sink.end();
      return;
    }
    this.#heldBytes -= chunk.length;
    const { way: counted = 'up', cutAfterBytes, flipAfterBytes, holeAfterBytes } = conditions();
    const before = this.#passed;
    this.#passed += chunk.length;
    /** Where in the chunk a position in the stream is; undefined: not in it. */
    const within = (position: number | undefined, isEnd: boolean): number | undefined => {
      if (position === undefined || counted !== way) return undefined;
      const at = position - before;
      return at >= 0 && at < chunk.length + (isEnd ? 1 : 0) ? at : undefined;
    };
    const flipAt = within(flipAfterBytes, false);
    if (flipAt !== undefined) chunk[flipAt] = (chunk[flipAt] as number) ^ 0xff;
    const cutAt = within(cutAfterBytes, true);
    const holeAt = within(holeAfterBytes, true);
    const bytes = chunk.subarray(0, cutAt ?? holeAt ?? chunk.length);
    // A reset at once could overtake the bytes before it.
    if (cutAt !== undefined) {
      this.#isBlocked = true;
      sink.write(bytes, cut);
      return;
    }
    if (bytes.length > 0) this.#isBlocked = !sink.write(bytes);
    if (holeAt !== undefined) swallow();
  }
}
