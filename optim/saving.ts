/**
 * The state of an optimizer in a file of tensors (`saveTensors`): state tensor `n` of parameter i under the name `i.n`, the rest
 * as JSON in the metadata. Knows optimizers by their state alone.
 */
import { GradwireError } from '../errors.ts';
import { loadTensors, saveTensors, tf } from '../tensor/index.ts';
import type { Optimizer, ParameterStateDict, StateDict, TensorState } from './rule.ts';

const FORMAT = 'gradwire.optimizer.1';

/**
 * Writes options and state of an optimizer as of this call, atomically. The parameters are not part of it: save them by
 * `saveTensors`. PyTorch: `torch.save(optimizer.state_dict(), file)`.
 *
 * @throws GradwireError (as rejection) `tensor_freed`, `file_error`
 */
export async function saveOptimizer(file: string, optimizer: Optimizer): Promise<void> {
  const { state, paramGroups } = await optimizer.stateDict();
  const record: Record<string, tf.Tensor> = {};
  try {
    for (const [index, { tensors }] of state.entries()) {
      for (const [name, { shape, values }] of Object.entries(tensors)) {
        record[`${index}.${name}`] = tf.tensor(values, [...shape], 'float32');
      }
    }
    const metadata = {
      format: FORMAT,
      paramGroups: JSON.stringify(paramGroups),
      steps: JSON.stringify(state.map(({ step }) => step)),
    };
    await saveTensors(file, record, { metadata });
  } finally {
    tf.dispose(record);
  }
}

/**
 * Puts an optimizer of the same class, with the same parameters and groups, where the saved one was.
 *
 * @throws GradwireError (as rejection) `file_error` if it is no such file, `invalid_argument` if it is of another optimizer;
 *   nothing has changed then
 */
export async function loadOptimizer(file: string, optimizer: Optimizer): Promise<void> {
  const { tensors, metadata } = await loadTensors(file);
  try {
    optimizer.loadStateDict(await toStateDict(file, tensors, metadata));
  } finally {
    tf.dispose(tensors);
  }
}

async function toStateDict(
  file: string,
  tensors: Readonly<Record<string, tf.Tensor>>,
  metadata: Readonly<Record<string, string>>,
): Promise<StateDict> {
  if (metadata['format'] !== FORMAT) throw damaged(file, `the format is not ${FORMAT}`);
  const steps = parse(file, 'steps', metadata['steps']);
  const paramGroups = parse(file, 'paramGroups', metadata['paramGroups']);
  // Not records yet: a name in a file may be anything.
  const named = steps.map((): Map<string, TensorState> => new Map());
  for (const [path, tensor] of Object.entries(tensors)) {
    const [, index = '', name = ''] = /^(0|[1-9]\d*)\.(\w+)$/.exec(path) ?? [];
    const own = named[Number(index)];
    if (index === '' || own === undefined || tensor.dtype !== 'float32') {
      throw damaged(file, `'${path}' is no state of an optimizer`);
    }
    own.set(name, { shape: tensor.shape, values: (await tensor.data<'float32'>()).slice() });
  }
  const state = named.map((own, index): ParameterStateDict => {
    return { step: steps[index] as number, tensors: Object.fromEntries(own) };
  });
  // The optimizer checks the rest, as it must check any state.
  return { state, paramGroups: paramGroups as StateDict['paramGroups'] };
}

function parse(file: string, name: string, text: string | undefined): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(text ?? '');
    if (Array.isArray(value)) return value;
  } catch {
    // Told below, as any other text that is no list.
  }
  throw damaged(file, `metadata '${name}' is no list in JSON`);
}

function damaged(file: string, reason: string): GradwireError {
  return new GradwireError('file_error', `'${file}' cannot be read: ${reason}`);
}
