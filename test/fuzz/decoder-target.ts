/** The decoders, without a worker around them: whatever comes, they give a value or throw a GradwireError that says why not. */
import { type GradwireError, isGradwireError } from '../../errors.ts';
import { ControlStream } from '../../rpc/control-stream.ts';
import { byTag, COMMON_EXTENSIONS } from '../../rpc/extensions.ts';
import { fromWire } from '../../rpc/failure.ts';
import { FrameReader } from '../../rpc/frame.ts';
import { decodeChange } from '../../rpc/group-wire.ts';
import { Inbox } from '../../rpc/inbox.ts';
import type { MessageKind } from '../../rpc/message.ts';
import { readNumber } from '../../rpc/number-packet.ts';
import { unpack } from '../../rpc/packet.ts';
import { type Notice, readNotices } from '../../rpc/reference-notices.ts';
import { readMeta } from '../../rpc/request-meta.ts';
import { Roster } from '../../rpc/roster.ts';
import { TensorScope } from '../../tensor/index.ts';
import type { Dice } from './dice.ts';
import { malformedStream, recut } from './frames.ts';
import { isNumber, type Recorded } from './message-parts.ts';
import { malformed } from './mutations.ts';

const EXTENSIONS = byTag(COMMON_EXTENSIONS);
const MAX_MESSAGE_BYTES = 2 ** 25;
/** What a decoder may refuse with. */
const REFUSALS = new Set([
  'protocol_error',
  'message_too_large',
  'unknown_function',
  'unsupported_value',
]);

/** What became of an input: the code of the refusal, or that it was taken. */
export type Fate = 'taken' | GradwireError['code'];

/** @throws an error that is no clean refusal */
export function decodeOne(dice: Dice, corpus: readonly Recorded[]): { how: string; fate: Fate } {
  const message = dice.pick(corpus);
  if (dice.chance(0.7)) {
    const { how, kind, bytes } = malformed(dice, message, corpus);
    return { how, fate: fateOf(how, () => decode(kind, bytes)) };
  }
  const { how, chunks } = malformedStream(dice, message, corpus);
  const pieces = recut(dice, chunks);
  return { how, fate: fateOf(how, () => receive(pieces)) };
}

function fateOf(how: string, work: () => void): Fate {
  try {
    work();
    return 'taken';
  } catch (error) {
    if (isGradwireError(error) && REFUSALS.has(error.code)) return error.code;
    throw new Error(`${how}: no clean refusal`, { cause: error });
  }
}

/** As a channel does it. */
function receive(chunks: readonly Buffer[]): void {
  const inbox = new Inbox(MAX_MESSAGE_BYTES, {
    message: (kind, _, bytes) => decode(kind, bytes),
    credit: () => {},
    grant: () => {},
  });
  const reader = new FrameReader(1024 * 1024, (frame) => {
    if (frame.kind === 'offer') inbox.offer(readNumber(frame.part));
    else if (frame.kind === 'decline') inbox.decline(readNumber(frame.part));
    else inbox.frame(frame);
  });
  for (const chunk of chunks) reader.push(chunk);
}

/** Everything that is read before a handler begins, and what the handlers of rpc read themselves. */
function decode(kind: MessageKind, bytes: Uint8Array): void {
  if (isNumber(kind)) return void readNumber(bytes);
  const scope = new TensorScope();
  try {
    const { head, body, meta } = scope.run(() => unpack(bytes, EXTENSIONS));
    if (kind === 'references') new ControlStream<Notice>().accept(readNotices(head), 0);
    else if (kind === 'view') new Roster('nobody').change(decodeChange(head));
    else if (kind === 'failure') fromWire(body, 'worker2', 'the call');
    else if (kind !== 'reply' && kind !== 'streamItem') readMeta(meta);
  } finally {
    scope.dispose();
  }
}
