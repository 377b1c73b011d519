/** What a worker does when others ask: run functions and methods, make and keep objects, count references, meet. */
import { asError, GradwireError, isGradwireError } from '../errors.ts';
import {
  collectTensors,
  holdTensors,
  keepStored,
  ownVariables,
  watchVariables,
} from '../tensor/index.ts';
import { gathered } from './all-gather.ts';
import type { AsyncCalls } from './async-execution.ts';
import type { Barriers } from './barrier.ts';
import type { Endpoint } from './endpoint.ts';
import { nameOfError } from './error-values.ts';
import { Head } from './head.ts';
import type { Made } from './holds.ts';
import type { Incoming } from './incoming.ts';
import type { Members } from './members.ts';
import type { ForkId, RRefId } from './reference-ids.ts';
import { readNotices } from './reference-notices.ts';
import type { References } from './references.ts';
import { type AnyFunction, asClass, isRegisteredInstance, lookUp, methodOf } from './registry.ts';
import { typeName } from './type-name.ts';
import { valueClassOf } from './value-classes.ts';
import type { WorkerInfo } from './worker-info.ts';

export interface Serving {
  readonly info: WorkerInfo;
  readonly endpoint: Endpoint;
  readonly references: References;
  readonly barriers: Barriers;
  readonly members: Members;
  readonly asyncCalls: AsyncCalls;
}

/** Lets the endpoint answer every request of rpc's own. */
export function serve(serving: Serving): void {
  const { info, endpoint, references, barriers, members, asyncCalls } = serving;
  endpoint.handle('call', (request) => {
    const name = new Head(request.head).text(0);
    const { callable, self } = lookUp(name);
    const Class = asClass(callable);
    if (Class !== undefined) return delivered(request, constructed(Class, name, request));
    const args = argumentsOf(request);
    request.begin(name);
    const run = callable as AnyFunction;
    return delivered(request, asyncCalls.answer(run, name, run.apply(self, args)));
  });

  endpoint.handle('method', async (request) => {
    const head = new Head(request.head);
    const object = await borrowed(references, head.id(0), request);
    return callMethod(object, head.text(1), request, asyncCalls);
  });

  endpoint.handle('fetch', (request) => {
    return borrowed(references, new Head(request.head).id(0), request);
  });

  const create = async (request: Incoming): Promise<null> => {
    const { head, id, fork, what } = creationOf(request.head);
    const settle = references.create(id, fork, request.peer);
    if (settle === undefined) {
      const message = `nobody waits for ${what} any more: its reference was let go of`;
      throw new GradwireError('unknown_rref', message, { maybeExecuted: false });
    }
    try {
      const made = await make(head, request, serving);
      request.takeScope();
      settle(made);
    } catch (thrown) {
      const error = creationFailure(what, info.name, thrown);
      settle({ error });
      throw error;
    }
    return null;
  };
  endpoint.handle('remote', create, (peer, fields, thrown) => {
    const { id, fork, what } = creationOf(fields);
    references.create(id, fork, peer)?.({ error: creationFailure(what, info.name, thrown) });
  });

  endpoint.handle('type', async (request) => {
    return typeName(await borrowed(references, new Head(request.head).id(0), request));
  });

  endpoint.handle('references', ({ peer, head }) => {
    if (!members.isGone(peer)) references.receive(peer, readNotices(head));
  });

  endpoint.handle('gather', (request) => gathered(barriers, members, request));

  endpoint.handle('barrier', ({ head: fields, peer: rank, timeoutMs }) => {
    const head = new Head(fields);
    return barriers.arrive({
      key: head.text(0),
      ranks: head.ranks(1),
      isTolerant: head.flag(2),
      vote: head.flag(3),
      rank,
      timeoutMs,
    });
  });
}

/** An object that stays until the request is answered. */
function borrowed(references: References, id: RRefId, request: Incoming): Promise<unknown> {
  request.after(references.borrow(id));
  return references.value(id, request.timeoutMs, request.peer);
}

function argumentsOf({ body }: Incoming): unknown[] {
  if (Array.isArray(body)) return body;
  throw new GradwireError('protocol_error', 'a call without arguments', { stage: 'decode' });
}

/** The result, or, of a call that streams, that its items have been sent. */
function delivered({ outlet }: Incoming, result: unknown, keep?: () => void): unknown {
  return outlet === undefined ? result : outlet.deliver(result, keep);
}

/** Methods that run, by object. */
const running: WeakMap<object, Set<Incoming>> = new WeakMap();

/**
 * Runs a method; tensors that it stores in its object stay there (D7), and those that they replace stay until the other
 * methods that run on the object by then are done.
 */
async function callMethod(
  target: unknown,
  method: string,
  request: Incoming,
  asyncCalls: AsyncCalls,
): Promise<unknown> {
  const run = methodOf(target, method);
  const args = argumentsOf(request);
  const object = target as object;
  const others = running.get(object) ?? new Set();
  running.set(object, others.add(request));
  request.begin(method);
  const keep = (): void => {
    const replaced = keepStored(object, request.scope);
    if (replaced.length === 0) return;
    for (const other of others) if (other !== request) other.after(holdTensors(replaced));
  };
  try {
    return await delivered(request, asyncCalls.answer(run, method, run.apply(target, args)), keep);
  } finally {
    others.delete(request);
    keep();
  }
}

/** An object that is the answer itself. Its variables are freed with the call. */
function constructed(
  Class: new (...args: unknown[]) => unknown,
  name: string,
  request: Incoming,
): unknown {
  if (valueClassOf(Class.prototype) === undefined) {
    const message = `${name} is a class whose objects cannot be sent: make them by remote(), or see rpc.registerValue`;
    throw new GradwireError('unsupported_value', message);
  }
  const args = argumentsOf(request);
  request.begin(name);
  const { value, variables } = ownVariables(() => new Class(...args));
  request.after(() => {
    for (const variable of variables) variable.dispose();
  });
  return value;
}

function creationOf(fields: unknown): {
  readonly head: Head;
  readonly id: RRefId;
  readonly fork: ForkId;
  readonly what: string;
} {
  const head = new Head(fields);
  return { head, id: head.id(0), fork: head.fork(1), what: head.text(head.length > 3 ? 3 : 2) };
}

/** Makes the object of a reference: by a class, a function, or a method of another object. */
async function make(head: Head, request: Incoming, serving: Serving): Promise<Made> {
  const { scope } = request;
  const { references, asyncCalls } = serving;
  if (head.length > 3) {
    const object = await borrowed(references, head.id(2), request);
    return keep(await callMethod(object, head.text(3), request, asyncCalls), scope);
  }
  const name = head.text(2);
  const { callable, self } = lookUp(name);
  const args = argumentsOf(request);
  const Class = asClass(callable);
  request.begin(name);
  if (Class === undefined) {
    const run = callable as AnyFunction;
    const watched = watchVariables(() => asyncCalls.answer(run, name, run.apply(self, args)));
    const made = keep(await watched.value, scope);
    const { value } = made;
    const variables = collectTensors(value).filter((t) => watched.variables.has(t));
    const free = (): void => {
      made.free();
      for (const variable of variables) if (!variable.kept) variable.dispose();
    };
    return { value, free };
  }
  const { value, variables } = ownVariables(() => new Class(...args));
  const made = keep(value, scope);
  const free = (): unknown => {
    made.free();
    for (const variable of variables) variable.dispose();
    // Last: it may throw.
    if (typeof value !== 'object' || value === null || !(Symbol.dispose in value)) return;
    return (value as Disposable)[Symbol.dispose]();
  };
  return { value, free };
}

/** Whoever uses the reference later hears that its creation failed, not what they asked for. */
function creationFailure(what: string, peer: string, thrown: unknown): GradwireError {
  if (isGradwireError(thrown)) return thrown;
  const error = asError(thrown);
  const { message, stack } = error;
  const name = nameOfError(error);
  const said = `${name}: ${message} (thrown in making ${what} on ${peer})`;
  return new GradwireError('remote_error', said, {
    peer,
    maybeExecuted: true,
    remoteName: name,
    remoteStack: stack ?? message,
    cause: thrown,
  });
}

/** What was made stays with its reference: the tensors of the value, also those that other objects hold, and the rest. */
function keep(value: unknown, scope: Incoming['scope']): Made {
  if (isRegisteredInstance(value)) keepStored(value, scope);
  const release = holdTensors(value);
  const free = (): void => {
    release();
    scope.dispose();
  };
  return { value, free };
}
