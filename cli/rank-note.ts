/**
 * What a rank tells its launcher over their channel: the name of its worker, the error that ends it, and when it ends.
 * The rank makes notes (`child-guard.ts`), the launcher reads them and believes no field unseen. Pure; knows errors of
 * gradwire by their fields alone.
 */

export interface RankError {
  /** When it was thrown, milliseconds since the epoch. */
  readonly atMs: number;
  /** Class and message. */
  readonly text: string;
  /** Worker on which `remoteStack` was made. */
  readonly peer?: string;
  /** Stack of the error on the worker that threw it, if a remote call brought it here. */
  readonly remoteStack?: string;
}

export type RankNote =
  | { readonly gradwire: 'worker'; readonly name: string }
  | { readonly gradwire: 'error'; readonly error: RankError }
  | { readonly gradwire: 'exit'; readonly atMs: number };

/** Longest text that goes over the channel: what fits into its buffer is there even if the rank is gone at once. */
const TEXT_LIMIT = 16_384;
/** How many causes are searched for a remote stack. */
const CAUSE_LIMIT = 8;

/** @param thrown anything; what it says about itself may throw */
export function errorNote(thrown: unknown, atMs: number): RankNote {
  const remote = findRemote(thrown);
  return {
    gradwire: 'error',
    error: {
      atMs,
      text: limited(textOf(thrown)),
      ...(remote === undefined ? {} : { remoteStack: limited(remote.remoteStack) }),
      ...(remote?.peer === undefined ? {} : { peer: limited(remote.peer) }),
    },
  };
}

/** The note in a message from a rank; undefined for anything else, since scripts may send messages of their own. */
export function readNote(message: unknown): RankNote | undefined {
  const { gradwire, name, atMs, error } = fieldsOf(message);
  switch (gradwire) {
    case 'worker':
      return typeof name === 'string' ? { gradwire, name: limited(name) } : undefined;
    case 'exit':
      return typeof atMs === 'number' ? { gradwire, atMs } : undefined;
    case 'error':
      return readError(fieldsOf(error));
    default:
      return undefined;
  }
}

function readError({ atMs, text, peer, remoteStack }: Fields): RankNote | undefined {
  if (typeof atMs !== 'number' || typeof text !== 'string') return undefined;
  return {
    gradwire: 'error',
    error: {
      atMs,
      text,
      ...(typeof peer === 'string' ? { peer } : {}),
      ...(typeof remoteStack === 'string' ? { remoteStack } : {}),
    },
  };
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

/** The first of the error and its causes that was brought here from another worker. */
function findRemote(
  thrown: unknown,
): { remoteStack: string; peer: string | undefined } | undefined {
  let error = fieldsOf(thrown);
  for (let i = 0; i < CAUSE_LIMIT; i++) {
    const { remoteStack, peer, cause } = error;
    if (typeof remoteStack === 'string' && remoteStack !== '') {
      return { remoteStack, peer: typeof peer === 'string' ? peer : undefined };
    }
    error = fieldsOf(cause);
  }
  return undefined;
}

function textOf(thrown: unknown): string {
  const { name, message, code } = fieldsOf(thrown);
  if (typeof message !== 'string') return String(thrown);
  // The messages of gradwire begin with their code, which says more than the name of the class.
  if (typeof code === 'string' && message.startsWith(`${code}: `)) return message;
  return `${typeof name === 'string' ? name : 'Error'}: ${message}`;
}

function limited(text: string): string {
  return text.length > TEXT_LIMIT ? `${text.slice(0, TEXT_LIMIT)}…` : text;
}
