/** The attacker's end of a connection: says anything, and hears what it is asked and what it is refused. */
import { byTag, COMMON_EXTENSIONS } from '../../rpc/extensions.ts';
import { type Frame, FrameReader } from '../../rpc/frame.ts';
import { unpack } from '../../rpc/packet.ts';
import type { Connection } from '../../rpc/transport.ts';

const EXTENSIONS = byTag(COMMON_EXTENSIONS);

/** Who the attacker is: the worker whose traffic was recorded. */
export const ATTACKER = { rank: 2, name: 'worker2', address: '' } as const;

export interface Failure {
  readonly code: string;
  readonly name: string;
  readonly message: string;
  readonly maybeExecuted?: boolean;
}

export class Peer {
  readonly #end: Connection;
  isCut = false;
  /** Ids of what it was asked. */
  readonly requests: number[] = [];
  readonly failures: Failure[] = [];
  /** Ids of what it asked and was answered. */
  readonly answered: Set<number> = new Set();

  constructor(connection: Connection) {
    this.#end = connection;
    const reader = new FrameReader(2 ** 24, (frame) => this.#hear(frame));
    connection.start({
      data: (chunk) => reader.push(chunk),
      drain: () => {},
      close: () => {
        this.isCut = true;
      },
    });
  }

  say(chunks: readonly Uint8Array[]): void {
    // The other end may keep what it gets.
    for (const chunk of chunks) this.#end.write(Buffer.from(chunk));
  }

  close(): void {
    this.#end.close();
  }

  #hear({ kind, id, part, total }: Frame): void {
    const isAnswer = kind === 'reply' || kind === 'failure' || kind === 'streamItem';
    if (id !== 0 && !isAnswer) this.requests.push(id);
    if (isAnswer) this.answered.add(id);
    if (kind !== 'failure' || part.length < total) return;
    this.failures.push(unpack(part, EXTENSIONS).body as Failure);
  }
}
