import { Head } from './head.ts';
import type { Extension } from './value-codec.ts';

/** Name and rank of a worker of the group. PyTorch: `torch.distributed.rpc.WorkerInfo`. Compares by its fields. */
export class WorkerInfo {
  readonly name: string;
  /** The rank. */
  readonly id: number;

  constructor(name: string, id: number) {
    this.name = name;
    this.id = id;
  }

  toString(): string {
    return `${this.name} (rank ${this.id})`;
  }
}

/** Worker infos travel as values. */
export const workerInfoExtension: Extension<WorkerInfo> = {
  tag: 1,
  is: (value) => value instanceof WorkerInfo,
  encode: ({ name, id }) => [name, id],
  decode: (plain) => {
    const head = new Head(plain);
    return new WorkerInfo(head.text(0), head.rank(1));
  },
};

/** What can stand for a worker in a call: its name, its rank, or its info. */
export type Peer = string | number | WorkerInfo;
