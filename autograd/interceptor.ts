/**
 * How calls are recorded: tensors that leave inside a context become roots, those that arrive become leaves, and the
 * callee works in its share of the same context. The meta data of a message: context, message name, positions of the
 * tensors that need gradients.
 */

import type { CallView, IncomingTrace, Interceptor, OutgoingTrace } from '../rpc/internal.ts';
import { frameSlot } from '../tensor/index.ts';
import type { Contexts } from './contexts.ts';
import { DistContext } from './dist-context.ts';
import { readJoined, readSent } from './heads.ts';

export class AutogradInterceptor implements Interceptor {
  readonly key: string = 'autograd';
  readonly #contexts: Contexts;

  constructor(contexts: Contexts) {
    this.#contexts = contexts;
  }

  outgoing({ peer, tensors }: CallView): OutgoingTrace | undefined {
    const isRecording = frameSlot.get()?.recorder?.tape != null;
    if (!isRecording) {
      DistContext.current()?.graph.assertAlive();
      return undefined;
    }
    const context = this.#contexts.current();
    if (context === undefined) return undefined;
    return {
      meta: [context.id, ...context.send(peer, tensors), context.graph.isHigherOrder],
      answered: (meta, results) => {
        if (meta != null) context.receive(peer, readSent(meta), results);
      },
    };
  }

  incoming({ peer, tensors }: CallView, meta: unknown): IncomingTrace {
    const [id, sent, higherOrder] = readJoined(meta);
    const context = this.#contexts.join(id, peer, { higherOrder });
    context.receive(peer, sent, tensors);
    return {
      run: (work) => context.graph.run(work),
      answer: (results) => context.send(peer, results),
    };
  }
}
