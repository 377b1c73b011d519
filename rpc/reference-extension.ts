/** How references travel: the copy at the receiver is a new fork, counted by the owner. */
import { GradwireError } from '../errors.ts';
import { byTag, COMMON_EXTENSIONS } from './extensions.ts';
import { Head } from './head.ts';
import type { ForkId, RRefId } from './references.ts';
import { Handle, handleOf, isRRef, type ReferenceHost, type RRef, referenceTo } from './rref.ts';
import type { Extension } from './value-codec.ts';
import type { WorkerInfo } from './worker-info.ts';

const TAG = 2;

export interface Forking {
  readonly host: ReferenceHost;
  /** The member of this rank. */
  infoOf(rank: number): WorkerInfo | undefined;
  /** Tells the owner that `holder` has a copy, or that this copy is gone. */
  announce(notice: Notice): void;
}

export interface Notice {
  readonly kind: 'fork' | 'drop';
  readonly id: RRefId;
  readonly fork: ForkId;
  readonly owner: number;
  /** Rank of the worker that has the copy. */
  readonly holder: number;
}

/** What the values of messages to or from one peer may hold beyond plain ones. */
export interface PeerExtensions {
  /** @param undo is filled with what must be done should the message not be sent after all */
  outgoing(peer: number, undo: (() => void)[]): readonly Extension[];
  readonly incoming: ReadonlyMap<number, Extension>;
}

export function peerExtensions(forking: Forking): PeerExtensions {
  const incoming = incomingReferences(forking);
  return {
    outgoing: (peer, undo) => [outgoingReferences(forking, peer, undo), ...COMMON_EXTENSIONS],
    incoming: byTag([incoming, ...COMMON_EXTENSIONS]),
  };
}

/**
 * The owner is told before the message leaves, not after: so that the sender may let go of its own copy at once, however
 * long the message takes.
 */
function outgoingReferences(
  { host, announce }: Forking,
  peer: number,
  undo: (() => void)[],
): Extension<RRef<unknown>> {
  return {
    tag: TAG,
    is: isRRef,
    encode: (rref) => {
      const { id, owner, host: at } = handleOf(rref);
      if (at !== host) {
        const message = `${rref} belongs to the worker ${at.info.name}, not to ${host.info.name}`;
        throw new GradwireError('unsupported_value', message);
      }
      const { references, info } = host;
      const fork = references.newForkId();
      if (owner.id === info.id) {
        references.addFork(id, fork, peer);
        undo.push(() => references.dropFork(id, fork, info.id));
      } else {
        const notice = { id, fork, owner: owner.id, holder: peer };
        announce({ kind: 'fork', ...notice });
        undo.push(() => announce({ kind: 'drop', ...notice }));
      }
      return [id, fork, owner.id];
    },
    decode: refuse,
  };
}

/** For a message that came from another worker. */
function incomingReferences({ host, infoOf }: Forking): Extension<RRef<unknown>> {
  return {
    tag: TAG,
    is: isRRef,
    encode: refuse,
    decode: (plain) => {
      const head = new Head(plain);
      const [id, fork] = [head.id(0), head.fork(1)];
      const owner = infoOf(head.rank(2));
      if (owner === undefined) {
        throw new GradwireError(
          'protocol_error',
          `a reference of the unknown rank ${head.rank(2)}`,
        );
      }
      if (owner.id !== host.info.id) host.references.addCopy(id, fork, owner.id);
      return referenceTo(new Handle(host, owner, id, fork));
    },
  };
}

function refuse(): never {
  throw new GradwireError('protocol_error', 'a reference at the wrong end');
}
