/** What the driver of the soak and its members say to each other. */

export type Order = 'work' | 'quiet' | 'rejoin' | 'leave';

/** What a member holds when it is quiet; sizes in bytes. */
export interface Sample {
  readonly tensors: number;
  readonly references: number;
  readonly contexts: number;
  /** Flows that still work. */
  readonly flows: number;
  readonly sockets: number;
  readonly descriptors: number;
  readonly rss: number;
  readonly heap: number;
}

export type Told =
  | { readonly type: 'ready'; readonly rank: number }
  | { readonly type: 'left'; readonly rank: number; readonly drained: boolean }
  | { readonly type: 'fault'; readonly rank: number; readonly what: string }
  | {
      readonly type: 'sample';
      readonly rank: number;
      /** Deeds so far, and how often they ended in which error. */
      readonly done: number;
      readonly errors: Readonly<Record<string, number>>;
      readonly sample: Sample;
    };
