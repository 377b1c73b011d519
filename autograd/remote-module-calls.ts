/**
 * What a worker does for the RemoteModules of others: it looks whether an object is a module, and gives its parameters away
 * one by one. Called remotely, by name. Knows nothing of contexts or gradients.
 */
import { GradwireError } from '../errors.ts';
import { type RRef, register } from '../rpc/index.ts';
import { tf } from '../tensor/index.ts';

/** What a RemoteModule can hold: an object of a registered class. PyTorch: the part of `nn.Module` that is used from afar. */
export interface Module {
  /** Its output, for inputs that can be sent; tensors made in it are freed once sent, unless the object stores them. */
  // biome-ignore lint/suspicious/noExplicitAny: modules take what they take
  forward(...inputs: any[]): unknown;
  /** The variables to be trained, in an order that does not change; they stay the module's. */
  parameters(): Iterable<tf.Variable>;
}

/** Why the object is no module; undefined if it is one. Lets go of the reference. */
export async function moduleFault(rref: RRef<unknown>): Promise<string | undefined> {
  const value: unknown = await borrowed(rref);
  if (isModule(value)) return undefined;
  const made = typeof value === 'object' && value !== null ? value.constructor?.name : typeof value;
  return `expected an object of a registered class with forward() and parameters(), got ${made || 'an object'}`;
}

/** How many parameters the module has. @throws GradwireError `invalid_argument` if it is none. Lets go of the reference. */
export async function parameterCount(rref: RRef<unknown>): Promise<number> {
  return parametersOf(await borrowed(rref)).length;
}

/** The parameter at this position. Lets go of the reference. */
export async function parameterAt(rref: RRef<unknown>, index: number): Promise<tf.Variable> {
  const parameters = parametersOf(await borrowed(rref));
  const parameter = parameters[index];
  if (parameter !== undefined) return parameter;
  throw new GradwireError(
    'invalid_argument',
    `a module of ${parameters.length} parameters has none at ${index}`,
  );
}

async function borrowed(rref: RRef<unknown>): Promise<unknown> {
  try {
    return await rref.localValue();
  } finally {
    rref.dispose();
  }
}

function isModule(value: unknown): value is Module {
  if (typeof value !== 'object' || value === null) return false;
  const { forward, parameters } = value as Partial<Module>;
  return typeof forward === 'function' && typeof parameters === 'function';
}

function parametersOf(value: unknown): readonly tf.Variable[] {
  if (!isModule(value)) throw new GradwireError('invalid_argument', 'the object is no module');
  const parameters = [...value.parameters()];
  if (parameters.every((parameter) => parameter instanceof tf.Variable)) return parameters;
  throw new GradwireError(
    'invalid_argument',
    `parameters() of ${value.constructor.name} must give tf.Variables, not references or tensors`,
  );
}

register({
  'gradwire.moduleFault': moduleFault,
  'gradwire.parameterCount': parameterCount,
  'gradwire.parameterAt': parameterAt,
});
