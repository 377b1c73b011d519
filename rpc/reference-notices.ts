/** What workers tell each other about copies of references, and how it is written. */
import { GradwireError } from '../errors.ts';
import type { ControlPacket } from './control-stream.ts';
import { Head } from './head.ts';
import type { ForkId, RRefId } from './reference-ids.ts';

export const NOTICE_KINDS = ['fork', 'drop', 'confirm', 'refuse', 'here', 'never'] as const;

export type NoticeKind = (typeof NOTICE_KINDS)[number];

/**
 * - `fork`, to the owner: this copy is here; it answers `confirm`, or `refuse` if the object has been freed
 * - `drop`, to the owner: this copy is gone
 * - `confirm`, to the sender of a copy: it need not keep its own for its sake any longer
 * - `here`: nothing but a sign of life
 * - `never`, to the owner: the creation that this copy is of failed: if it has not come, it is not to be waited for
 */
export type Notice = readonly [what: NoticeKind, id: RRefId, fork: ForkId];
export type NoticePacket = ControlPacket<Notice>;

export const HERE: Notice = ['here', '0.0' as RRefId, '0.0' as ForkId];

/** The head of a message: numbers of the packet, then the fields of each notice. */
export function writeNotices({ first, received, entries }: NoticePacket): unknown[] {
  const head: unknown[] = [first, received];
  for (const [what, id, fork] of entries) head.push(NOTICE_KINDS.indexOf(what), id, fork);
  return head;
}

/** @throws GradwireError `protocol_error` */
export function readNotices(fields: unknown): NoticePacket {
  const head = new Head(fields);
  const [first, received] = [head.count(0), head.count(1)];
  const entries: Notice[] = [];
  for (let i = 2; i < head.length; i += 3) {
    const what = NOTICE_KINDS[head.count(i)];
    if (what === undefined) throw new GradwireError('protocol_error', 'an unknown notice');
    entries.push([what, head.id(i + 1), head.fork(i + 2)]);
  }
  return { first, received, entries };
}
