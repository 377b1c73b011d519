/**
 * The fields of the messages of distributed autograd, which a peer may have made up: checked before anything is looked up
 * or kept by them. Pure.
 */
import { GradwireError } from '../errors.ts';
import { type ControlPacket, Head } from '../rpc/internal.ts';
import { SparseSlices, tf } from '../tensor/index.ts';
import type { ContextId } from './context-id.ts';
import type { MessageId } from './dist-context.ts';
import type { Gradient } from './leaves.ts';
import type { PassStart } from './pass-share.ts';

/** How a pass ends on a worker. */
export type Outcome = 'visible' | 'dropped' | 'broken';

/** Tensors of one message that need gradients. */
export type Sent = readonly [message: MessageId, indices: readonly number[]];

/** Rank of the worker that opened it, number, and what is not to be guessed. */
const CONTEXT = /^\d{1,10}\.\d{1,16}(\.[\w-]{1,40})?$/;
/** Longest name of a message, mark or pass, in characters. */
const MAX_NAME = 128;

/** The context of a message, the first of its fields. @throws GradwireError `protocol_error` */
export function readContext(fields: unknown): ContextId {
  return contextAt(new Head(fields), 0);
}

/** Contexts that are over: numbers of the packet, then their ids. @throws GradwireError `protocol_error` */
export function readReleases(fields: unknown): ControlPacket<ContextId> {
  const head = new Head(fields);
  const entries = Array.from({ length: Math.max(0, head.length - 2) }, (_, i) =>
    contextAt(head, i + 2),
  );
  return { first: head.count(0), received: head.count(1), entries };
}

function contextAt(head: Head, index: number): ContextId {
  const id = head.text(index);
  if (CONTEXT.test(id)) return id as ContextId;
  throw malformed(`no context in field ${index}`);
}

/**
 * What the meta data of a request say: its context, what it sends, and whether gradients are taken of gradients.
 *
 * @throws GradwireError `protocol_error`
 */
export function readJoined(meta: unknown): readonly [ContextId, Sent, boolean] {
  const head = new Head(meta);
  return [readContext(meta), [name(head, 1), head.ranks(2)], head.flag(3)];
}

/** What the meta data of an answer say. @throws GradwireError `protocol_error` */
export function readSent(meta: unknown): Sent {
  const head = new Head(meta);
  return [name(head, 0), head.ranks(1)];
}

/** That some of what was sent will get a gradient, under a name. */
export interface Marked {
  readonly mark: string;
  readonly sent: Sent;
  /** Positions of those that have NaN, where that is looked for. */
  readonly broken: readonly number[];
}

/** The same, as it is told of a pass. */
export interface Mark extends Marked {
  readonly id: ContextId;
  readonly start: PassStart;
}

/** @throws GradwireError `protocol_error` */
export function readMark(fields: unknown): Mark {
  const head = new Head(fields);
  const given = Object(head.field(1)) as Readonly<Record<keyof PassStart, unknown>>;
  const start = new Head([given.id, given.initiator, given.timeoutMs]);
  return {
    id: readContext(fields),
    start: {
      id: name(start, 0),
      initiator: start.rank(1),
      retainGraph: given.retainGraph === true,
      timeoutMs: start.limitMs(2),
      detectAnomaly: given.detectAnomaly === true,
    },
    ...readMarked(head, 2),
  };
}

function readMarked(head: Head, from: number): Marked {
  const broken = head.field(from + 3) === undefined ? [] : head.ranks(from + 3);
  return { mark: name(head, from), sent: [name(head, from + 1), head.ranks(from + 2)], broken };
}

/** A context, a pass, and the mark of a gradient or the end of the pass. @throws GradwireError `protocol_error` */
export function readOfPass(fields: unknown): readonly [ContextId, string, string] {
  const head = new Head(fields);
  return [readContext(fields), name(head, 1), name(head, 2)];
}

/** @throws GradwireError `protocol_error` */
export function readOutcome(text: string): Outcome {
  if (text === 'visible' || text === 'dropped' || text === 'broken') return text;
  throw malformed('a pass that ends in no known way');
}

/**
 * The pass that is done, why it has failed, if so, and whether there is anything to be made visible.
 *
 * @throws GradwireError `protocol_error`
 */
export function readPassDone(fields: unknown): readonly [string, unknown, boolean] {
  const head = new Head(fields);
  return [name(head, 0), head.field(1), head.field(2) !== false];
}

/**
 * Ranks that take part behind a worker, and the marks that it has for the one that it answers.
 *
 * @throws GradwireError `protocol_error`
 */
export function readMarkAnswer(answer: unknown): readonly [readonly number[], readonly Marked[]] {
  const head = new Head(answer);
  return [head.ranks(0), head.list(1).map((fields) => readMarked(new Head(fields), 0))];
}

/** @throws GradwireError `protocol_error` */
export function readGradients(body: unknown): readonly (Gradient | null)[] {
  const isGradient = (entry: unknown): boolean =>
    entry === null || entry instanceof tf.Tensor || entry instanceof SparseSlices;
  const isSound = Array.isArray(body) && body.every(isGradient);
  if (isSound) return body;
  throw malformed('gradients that are none');
}

function name(head: Head, index: number): string {
  const text = head.text(index);
  if (text.length <= MAX_NAME) return text;
  throw malformed('a name that is too long');
}

function malformed(what: string): GradwireError {
  return new GradwireError('protocol_error', `a message has ${what}`, { stage: 'decode' });
}
