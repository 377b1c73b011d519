/** What the main thread and the liveness thread say to each other. Types only. */
import type { TlsCredentials } from '../tls-credentials.ts';

/** One worker of this process, in what is said about it. */
export type WorkerKey = number;

/** From the main thread. */
export type Order =
  /** A worker will join: listen for those who will watch it. Answered by `listening` or `refused`. */
  | {
      readonly type: 'host';
      readonly worker: WorkerKey;
      readonly rank: number;
      readonly incarnation: string;
      readonly host: string;
      /** 0: any free port, shared by the workers of the process. */
      readonly port: number;
      readonly tls: TlsCredentials | undefined;
    }
  /** The token of its run has become known. */
  | { readonly type: 'token'; readonly worker: WorkerKey; readonly token: string }
  | {
      readonly type: 'watch';
      readonly worker: WorkerKey;
      readonly rank: number;
      readonly incarnation: string;
      /** Where its process listens, host:port. */
      readonly address: string;
      readonly heartbeatMs: number;
      readonly deadAfterMs: number;
    }
  /** `isBroken`: its connection broke without a word; `severed` is reported should it give signs of life nevertheless. */
  | {
      readonly type: 'unwatch';
      readonly worker: WorkerKey;
      readonly rank: number;
      readonly isBroken: boolean;
    }
  /** This worker counts that incarnation as dead, and it is to be told so whenever it comes. */
  | {
      readonly type: 'fence';
      readonly worker: WorkerKey;
      readonly incarnation: string;
      readonly silentMs: number;
    }
  | { readonly type: 'leave'; readonly worker: WorkerKey };

/** From the liveness thread. */
export type Report =
  | { readonly type: 'listening'; readonly worker: WorkerKey; readonly port: number }
  | {
      readonly type: 'refused';
      readonly worker: WorkerKey;
      readonly isTaken: boolean;
      readonly message: string;
    }
  | {
      readonly type: 'suspected' | 'alive' | 'dead';
      readonly worker: WorkerKey;
      readonly rank: number;
      readonly incarnation: string;
      readonly silentMs: number;
      /** What the link last said of it: for how long it has computed, or why it cannot be reached. */
      readonly note: string;
    }
  /** That member gives signs of life after its connection broke. */
  | {
      readonly type: 'severed';
      readonly worker: WorkerKey;
      readonly rank: number;
      readonly incarnation: string;
    }
  /** That member counts this worker as dead. */
  | {
      readonly type: 'fenced';
      readonly worker: WorkerKey;
      readonly rank: number;
      readonly incarnation: string;
      readonly silentMs: number;
    };

/** What the thread is started with. */
export interface ThreadData {
  /** One number, which the main thread raises every `PULSE_MS` unless it is busy. */
  readonly pulse: SharedArrayBuffer;
}

export const PULSE_MS = 500;
