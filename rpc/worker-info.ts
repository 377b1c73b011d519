import { GradwireError } from '../errors.ts';
import { Head } from './head.ts';
import type { Extension } from './value-codec.ts';

const MAX_NAME_LENGTH = 127;

/** Name and rank of a worker of the group. PyTorch: `torch.distributed.rpc.WorkerInfo`. Compares by its fields. */
export class WorkerInfo {
  readonly name: string;
  /** The rank. */
  readonly id: number;

  /** @throws GradwireError `invalid_argument` if no worker can have this name */
  constructor(name: string, id: number) {
    const fault = nameFault(name);
    if (fault !== undefined) throw new GradwireError('invalid_argument', fault);
    this.name = name;
    this.id = id;
  }

  toString(): string {
    return `${this.name} (rank ${this.id})`;
  }
}

/** What is wrong with the name of a worker, if anything. */
export function nameFault(name: unknown): string | undefined {
  if (name === '') return `the worker name "" must not be empty`;
  if (typeof name !== 'string' || !/^[\w:-]+$/.test(name)) {
    return `the worker name ${JSON.stringify(name)} must be 1 to ${MAX_NAME_LENGTH} letters, digits, _ : -`;
  }
  if (name.length <= MAX_NAME_LENGTH) return undefined;
  return `the name of a worker must be 1 to ${MAX_NAME_LENGTH} characters long, not ${name.length}`;
}

/** Worker infos travel as values. */
export const workerInfoExtension: Extension<WorkerInfo> = {
  tag: 1,
  is: (value) => value instanceof WorkerInfo,
  encode: ({ name, id }) => [name, id],
  decode: (plain) => {
    const head = new Head(plain);
    const [name, rank] = [head.text(0), head.rank(1)];
    if (nameFault(name) === undefined) return new WorkerInfo(name, rank);
    throw new GradwireError('protocol_error', 'a worker has a name that is none');
  },
};

/** What can stand for a worker in a call: its name, its rank, or its info. */
export type Peer = string | number | WorkerInfo;
