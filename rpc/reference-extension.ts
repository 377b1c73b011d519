/** How references travel: the copy at the receiver is a new fork, counted by the owner. */
import { GradwireError } from '../errors.ts';
import { byTag, COMMON_EXTENSIONS } from './extensions.ts';
import { Head } from './head.ts';
import { makerOf } from './reference-ids.ts';
import { Handle, handleOf, isRRef, type ReferenceHost, type RRef, referenceTo } from './rref.ts';
import type { Extension } from './value-codec.ts';
import type { WorkerInfo } from './worker-info.ts';

const TAG = 2;

export interface Forking {
  readonly host: ReferenceHost;
  /** The member of this rank. */
  infoOf(rank: number): WorkerInfo | undefined;
}

/** What the values of messages to or from one peer may hold beyond plain ones. */
export interface PeerExtensions {
  /** @param undo is filled with what must be done should the message not be sent after all */
  outgoing(peer: number, undo: (() => void)[]): readonly Extension[];
  readonly incoming: ReadonlyMap<number, Extension>;
  /** References that came since this was emptied and that their owners are not known to count. */
  readonly unconfirmed: Handle[];
  /** Rank of the worker whose message is being read: it has made the copies in it. */
  from: number;
}

export function peerExtensions(forking: Forking): PeerExtensions {
  const made: PeerExtensions = {
    outgoing: (peer, undo) => [outgoingReferences(forking, peer, undo), ...COMMON_EXTENSIONS],
    incoming: byTag([incomingReferences(forking, () => made), ...COMMON_EXTENSIONS]),
    unconfirmed: [],
    from: forking.host.info.id,
  };
  return made;
}

/** The sender may let go of its own copy at once: it stays for as long as the new one needs it. */
function outgoingReferences(
  { host }: Forking,
  peer: number,
  undo: (() => void)[],
): Extension<RRef<unknown>> {
  return {
    tag: TAG,
    is: isRRef,
    encode: (rref) => {
      const handle = handleOf(rref);
      if (handle.host !== host) {
        const message = `${rref} belongs to the worker ${handle.host.info.name}, not to ${host.info.name}`;
        throw new GradwireError('unsupported_value', message);
      }
      const passed = host.references.pass(handle, peer);
      undo.push(passed.undo);
      return [handle.id, passed.fork, handle.owner.id];
    },
    decode: refuse,
  };
}

/** For a message that came from another worker. */
function incomingReferences(
  { host, infoOf }: Forking,
  reading: () => PeerExtensions,
): Extension<RRef<unknown>> {
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
      const { from, unconfirmed } = reading();
      if (makerOf(fork) !== from) {
        const message = `rank ${from} sent a reference that another worker has copied`;
        throw new GradwireError('protocol_error', message);
      }
      const handle = new Handle(host, owner, id, fork);
      if (!host.references.arrive(handle)) unconfirmed.push(handle);
      return referenceTo(handle);
    },
  };
}

function refuse(): never {
  throw new GradwireError('protocol_error', 'a reference at the wrong end');
}
