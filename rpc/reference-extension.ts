/** How references travel: the copy at the receiver is a new fork, counted by the owner. */
import { GradwireError } from '../errors.ts';
import type { ForkId, RRefId } from './references.ts';
import { Handle, type ReferenceHost, RRef } from './rref.ts';
import type { Extension } from './value-codec.ts';
import type { WorkerInfo } from './worker-info.ts';

const TAG = 2;

export interface Forking {
  readonly host: ReferenceHost;
  infoOf(rank: number): WorkerInfo;
  /** Tells the owner that a copy was passed on. */
  announce(id: RRefId, fork: ForkId, owner: number, holder: number): void;
}

/** For a message to `peer`; `commits` is filled with what counts the new copies once the message is sent. */
export function outgoingReferences(
  { host, announce }: Forking,
  peer: number,
  commits: (() => void)[],
): Extension<RRef<unknown>> {
  return {
    tag: TAG,
    is: RRef.is,
    encode: (rref) => {
      const { id, owner, host: at } = RRef.handleOf(rref);
      if (at !== host) {
        const message = `${rref} belongs to the worker ${at.info.name}, not to ${host.info.name}`;
        throw new GradwireError('unsupported_value', message);
      }
      const fork = host.references.newForkId();
      // An owner that gets its own reference back counts the copy itself, when it unpacks it.
      if (owner.id === host.info.id) host.references.addFork(id, fork, peer);
      else if (owner.id !== peer) commits.push(() => announce(id, fork, owner.id, peer));
      return [id, fork, owner.id];
    },
    decode: refuse,
  };
}

/** For a message that came from another worker. */
export function incomingReferences({ host, infoOf }: Forking): Extension<RRef<unknown>> {
  return {
    tag: TAG,
    is: RRef.is,
    encode: refuse,
    decode: (plain) => {
      const [id, fork, owner] = plain as [RRefId, ForkId, number];
      if (owner === host.info.id) host.references.addFork(id, fork, owner);
      else host.references.addCopy(id, fork, owner);
      return RRef.of(new Handle(host, infoOf(owner), id, fork));
    },
  };
}

function refuse(): never {
  throw new GradwireError('protocol_error', 'a reference at the wrong end');
}
