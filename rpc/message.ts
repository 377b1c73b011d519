/**
 * Every kind of message that workers exchange, one line of meaning each; a new message starts here. The numbers are the
 * wire format. Requests are answered by `reply` or `failure` with the same id; notices are not answered.
 */
export const MESSAGES = {
  // Requests of the user, which interceptors see.
  call: 1, //        [name], arguments: run a registered function, answer with its result
  method: 2, //      [rref id, method], arguments: run a method of the object behind an RRef, answer with its result
  remote: 3, //      [rref id, fork id, name | object's rref id, method], arguments: make an object and keep it behind an RRef
  fetch: 4, //       [rref id]: answer with the value of an RRef
  type: 7, //        [rref id]: answer with the name of the class of the object behind an RRef

  // About the request whose id the message has. Payload u48.
  cancel: 5, //      its caller waits no longer
  streamCredit: 6, // that many more items of its stream may come

  // Upkeep of references.
  references: 8, //  notice: [number of the first, how many have come, (kind, rref id, fork id) ...]: see reference-notices.ts

  // The group.
  barrier: 12, //    [key, ranks, is tolerant, vote]: request, answered when all those ranks have asked for the same key
  join: 13, //       [is ready]: request of a newcomer: you have taken my connection; or, all have. Answered with whether I am ready
  leave: 14, //      request: I finish my work and take no new one; answered when it is known here
  view: 15, //       [number, seats, leaving, departed]: notice of rank 0: what has changed in a dynamic group

  // Distributed autograd (handled by the autograd layer; rpc only carries them).
  mark: 16, //       request: these results will get a gradient in the pass
  gradient: 17, //   request: gradients of the tensors of one earlier message
  passDone: 18, //   notice to the initiator: this worker's share of the pass is done, or has failed
  finish: 19, //     request: make the gradients of the pass visible; notice: drop them
  release: 20, //    notice: [number of the first, how many have come, context ...]: these autograd contexts are over
  backward: 21, //   [rref id, context or null, keeps graph]: request: run a pass from the object behind an RRef

  // Values of the group.
  gather: 24, //     [key, ranks, limit in ms], [value]: request, answered as a barrier is, with a Map of all values by name

  reply: 32, //      result of a request
  failure: 33, //    error of a request
  streamItem: 34, // one value of a stream; reply or failure end it

  // Flow control and end of one connection: outside the credits.
  credit: 48, //     payload u48: that many more bytes may come
  offer: 49, //      payload u48: a large message of that many bytes wants to come
  grant: 50, //      the oldest offer may come now
  goodbye: 51, //    the worker leaves in good order; what follows is the end of the connection
  decline: 52, //    payload u48: a message of that many bytes, which was let in, will not come
  fenced: 53, //     payload u48: the sender counts the receiver as dead, after so many ms of silence; 0: for another reason
} as const;

export type MessageKind = keyof typeof MESSAGES;

const NAMES = new Map<number, MessageKind>(
  Object.entries(MESSAGES).map(([name, id]) => [id, name as MessageKind]),
);

/** The kind of a wire number; undefined for a number that is none. */
export function messageKind(id: number): MessageKind | undefined {
  return NAMES.get(id);
}

/** Whether the kind belongs to the connection itself: never queued behind data, never counted in credits. */
export function isConnectionKind(kind: MessageKind): boolean {
  return MESSAGES[kind] >= MESSAGES.credit;
}

/** Whether the kind is a request of the user: those alone are cancelled, and counted against the budget of their peer. */
export function isUserKind(kind: MessageKind): boolean {
  return MESSAGES[kind] <= MESSAGES.fetch;
}

/** Whether the answer to such a request is a value for the user, who frees the tensors in it; nobody would free others. */
export function hasValue(kind: MessageKind): boolean {
  return kind === 'call' || kind === 'method' || kind === 'fetch' || kind === 'gather';
}
