/** What a worker does when others ask: run functions and methods, make and keep objects, count references, meet. */
import { GradwireError } from '../errors.ts';
import { keepStored, ownVariables } from '../tensor/index.ts';
import type { Barriers } from './barrier.ts';
import type { Endpoint } from './endpoint.ts';
import type { Incoming } from './incoming.ts';
import type { Members } from './members.ts';
import type { ForkId, Outcome, References, RRefId } from './references.ts';
import { type AnyFunction, asClass, lookUp, methodOf } from './registry.ts';

export interface Serving {
  readonly endpoint: Endpoint;
  readonly references: References;
  readonly barriers: Barriers;
  readonly members: Members;
}

/** Lets the endpoint answer every request of rpc's own. */
export function serve({ endpoint, references, barriers, members }: Serving): void {
  endpoint.handle('call', ({ head, body }) => {
    const [name] = head as [string];
    const callable = lookUp(name);
    if (asClass(callable) !== undefined) {
      throw new GradwireError(
        'unsupported_value',
        `${name} is a class: make its objects by remote()`,
      );
    }
    return (callable as AnyFunction)(...(body as unknown[]));
  });

  endpoint.handle('method', async ({ head, body, scope }) => {
    const [id, method] = head as [RRefId, string];
    return callMethod(await references.value(id), { method, args: body as unknown[], scope });
  });

  endpoint.handle('fetch', ({ head }) => {
    const [id] = head as [RRefId];
    return references.value(id);
  });

  endpoint.handle('remote', async (request) => {
    const [id, fork] = request.head as [RRefId, ForkId];
    const settle = references.create(id);
    references.addFork(id, fork, request.peer);
    try {
      const made = await make(request, references);
      request.takeScope();
      settle(made);
    } catch (error) {
      settle({ error: error as Error });
      throw error;
    }
    return null;
  });

  endpoint.handle('fork', ({ head }) => {
    const [id, fork, holder] = head as [RRefId, ForkId, number];
    if (!members.isGone(holder)) references.addFork(id, fork, holder);
  });

  endpoint.handle('drop', ({ head }) => {
    const [id, fork] = head as [RRefId, ForkId];
    references.dropFork(id, fork);
  });

  endpoint.handle('barrier', ({ head, peer }) => {
    const [key, ranks, isTolerant] = head as [string, number[], boolean];
    return barriers.arrive(key, ranks, peer, isTolerant);
  });
}

interface MethodRun {
  readonly method: string;
  readonly args: unknown[];
  readonly scope: Incoming['scope'];
}

/** Runs a method; tensors that it stores in its object stay there (D7). */
async function callMethod(target: unknown, { method, args, scope }: MethodRun): Promise<unknown> {
  const run = methodOf(target, method);
  try {
    return await run.apply(target, args);
  } finally {
    keepStored(target as object, scope);
  }
}

/** Makes the object of a reference: by a class, a function, or a method of another object. */
async function make({ head, body, scope }: Incoming, references: References): Promise<Outcome> {
  const [, , target, method] = head as [RRefId, ForkId, string, string | undefined];
  const args = body as unknown[];
  if (method !== undefined) {
    const object = await references.value(target as RRefId);
    const value = await callMethod(object, { method, args, scope });
    return { value, free: () => scope.dispose() };
  }
  const callable = lookUp(target);
  const Class = asClass(callable);
  if (Class === undefined) {
    const value = await (callable as AnyFunction)(...args);
    return { value, free: () => scope.dispose() };
  }
  const { value, variables } = ownVariables(() => new Class(...args));
  const free = (): void => {
    scope.dispose();
    for (const variable of variables) variable.dispose();
    if (typeof value === 'object' && value !== null && Symbol.dispose in value) {
      (value as Disposable)[Symbol.dispose]();
    }
  };
  return { value, free };
}
