/** What a worker may say of a backward pass that it did not begin: a pass belongs to those who take part in it. */
import { GradwireError } from '../errors.ts';
import { type DistContext, makerOf } from './dist-context.ts';

/** The name of gradients that `peer` is to bring: they come from the worker that asked for them alone. */
export function expectedOf(peer: number, mark: string): string {
  return `${peer} ${mark}`;
}

/**
 * A pass is ended by the worker that began it, or dropped by one that passed marks on. Nothing is said of passes that are
 * not known here.
 *
 * @throws GradwireError `protocol_error`
 */
export function checkFinish(
  context: DistContext | undefined,
  pass: string,
  { isVisible, peer }: { readonly isVisible: boolean; readonly peer: number },
): void {
  const share = context?.passes.get(pass);
  if (share === undefined && context?.committed.has(pass) !== true) return;
  if (makerOf(pass) === peer) return;
  if (!isVisible && share?.markers.has(peer)) return;
  throw new GradwireError('protocol_error', `rank ${peer} did not begin the pass ${pass}`);
}
