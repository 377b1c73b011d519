/** A member of a static group whose every message the test makes up: the session is its own, what it says is not. */

import { byTag, COMMON_EXTENSIONS } from '../../rpc/extensions.ts';
import { FrameReader, HEADER_BYTES, writeHeader } from '../../rpc/frame.ts';
import type { MessageKind } from '../../rpc/message.ts';
import { type Packet, pack, unpack } from '../../rpc/packet.ts';
import type { Connection, Member, NodeOptions, TransportNode } from '../../rpc/transport.ts';
import type { MemoryTransport } from '../../rpc/transport-memory.ts';
import type { Extension } from '../../rpc/value-codec.ts';
import { TensorScope } from '../../tensor/index.ts';
import { until } from './until.ts';

/** A reference in a message, with the fields that the test gives. */
export class MadeUpReference {
  readonly fields: readonly unknown[];

  constructor(id: string, fork: string, owner: number) {
    this.fields = [id, fork, owner];
  }
}

const REFERENCES: Extension<MadeUpReference> = {
  tag: 2,
  is: (value): value is MadeUpReference => value instanceof MadeUpReference,
  encode: ({ fields }) => [...fields],
  decode: (plain) => plain as MadeUpReference,
};
const EXTENSIONS = [REFERENCES, ...COMMON_EXTENSIONS];
const META = { timeoutMs: 30_000 };
const MAX_PART_BYTES = 1024 * 1024;

export interface Lie {
  readonly kind: MessageKind;
  /** 0: a notice. */
  readonly id: number;
  readonly head?: unknown;
  readonly body?: unknown;
  readonly meta?: unknown;
}

export class Liar {
  readonly #node: TransportNode;
  readonly #to = new Map<number, Connection>();
  /** Answers, as text, by the id of the request. */
  readonly #answers = new Map<number, string>();
  #next = 1;

  private constructor(node: TransportNode) {
    this.#node = node;
  }

  /** Joins as the highest rank, which dials all others. */
  static async join(
    transport: MemoryTransport,
    options: Pick<NodeOptions, 'name' | 'rank' | 'worldSize' | 'masterPort'>,
  ): Promise<Liar> {
    const node = await transport.start({
      ...options,
      ...{ masterAddr: '127.0.0.1', incarnation: 'liar', token: 'secret' },
      ...{ host: undefined, group: undefined, accept: (connection) => connection.close() },
    });
    const liar = new Liar(node);
    for (const member of await node.join(10_000)) {
      if (member.rank !== options.rank) await liar.#dial(member);
    }
    return liar;
  }

  /** Sends to worker 0 whatever it likes. */
  tell({ kind, id, head = null, body = null, meta = META }: Lie): void {
    const packet = pack({ head, body, bodyName: 'x' }, EXTENSIONS, () => meta) as Packet;
    const part = Buffer.concat(packet.parts);
    const length = part.byteLength;
    const buffer = Buffer.alloc(HEADER_BYTES + Math.ceil(length / 8) * 8);
    writeHeader(buffer, 0, { kind, id, length, offset: 0, total: length });
    buffer.set(part, HEADER_BYTES);
    this.#to.get(0)?.write(buffer);
  }

  /** Asks worker 0; resolves with the answer as text, that of a failure in front. */
  async ask(
    kind: MessageKind,
    head: unknown,
    more: Omit<Lie, 'kind' | 'id'> = {},
  ): Promise<string> {
    const id = this.#next++;
    this.tell({ kind, id, head, ...more });
    await until(() => this.#answers.has(id));
    return this.#answers.get(id) ?? '';
  }

  /** Resolves when worker 0 has heard all that was told. */
  async heard(): Promise<void> {
    await this.ask('type', ['0.1']);
  }

  async close(): Promise<void> {
    for (const connection of this.#to.values()) connection.close();
    await this.#node.close();
  }

  async #dial(member: Member): Promise<void> {
    const connection = await this.#node.dial(member, 10_000);
    this.#to.set(member.rank, connection);
    const reader = new FrameReader(MAX_PART_BYTES, ({ kind, id, part }) => {
      if (kind !== 'reply' && kind !== 'failure') return;
      const scope = new TensorScope();
      const { body } = scope.run(() => unpack(part, byTag(EXTENSIONS)));
      this.#answers.set(id, `${kind} ${JSON.stringify(body)}`);
      scope.dispose();
    });
    connection.start({ data: (chunk) => reader.push(chunk), drain: () => {}, close: () => {} });
  }
}
