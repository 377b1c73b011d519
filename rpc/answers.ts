/** How what a handler made goes back to its caller: results, failures, items of a stream. Knows nothing of handlers. */
import { debuglog } from 'node:util';
import type { Answer } from './answering.ts';
import { toWire } from './failure.ts';
import type { Lanes } from './lanes.ts';
import { Parcel } from './parcel.ts';
import { notStreamed, streamOrder } from './streamed.ts';

const debug = debuglog('gradwire');
const STREAM_ITEM = { head: null, bodyName: 'the item' } as const;

export class Answers {
  readonly #lanes: Lanes;

  constructor(lanes: Lanes) {
    this.#lanes = lanes;
  }

  /** An answer that cannot be sent becomes a failure that says so. */
  send({ peer, id, kind, body, traces, order }: Answer): void {
    if (!this.#lanes.isConnected(peer)) return;
    const failed = (error: Error): void => {
      if (kind === 'failure') return debug('a failure could not be sent: %s', error);
      const failure = toWire(notStreamed(body) ?? error, true);
      this.send({ peer, id, kind: 'failure', body: failure, traces: new Map(), order });
    };
    const undo: (() => void)[] = [];
    try {
      const message = { head: null, body, bodyName: 'the result' };
      const packet = this.#lanes.pack(peer, message, undo, (tensors) => {
        const meta: Record<string, unknown> = {};
        for (const [key, trace] of traces) meta[key] = trace.answer?.(tensors);
        return meta;
      });
      this.#lanes.to(peer).post(new Parcel({ kind, id, order, undo, failed }, packet), 'free');
    } catch (error) {
      failed(error as Error);
    }
  }

  /** @throws GradwireError `unsupported_value` */
  packItem(peer: number, id: number, body: unknown): Parcel {
    const undo: (() => void)[] = [];
    const packet = this.#lanes.pack(peer, { ...STREAM_ITEM, body }, undo, () => null);
    return new Parcel({ kind: 'streamItem', id, order: streamOrder(id), undo }, packet);
  }

  sendItem(peer: number, parcel: Parcel): void {
    this.#lanes.to(peer).post(parcel, 'free');
  }
}
