/** Which handler made the tensors of a scope that is over: for messages about those that are used nevertheless. */

/** How many of those that made tensors last are remembered. */
const REMEMBERED = 1_000;

const makers = new Map<number, string>();

export function rememberMaker(scopeId: number, maker: string): void {
  makers.set(scopeId, maker);
  if (makers.size <= REMEMBERED) return;
  for (const oldest of makers.keys()) {
    makers.delete(oldest);
    return;
  }
}

/** What a message adds about a tensor with this `scopeId`; nothing if that is not known. */
export function madeBy(scopeId: number): string {
  const maker = makers.get(scopeId);
  return maker === undefined ? '' : ` (made by the handler of ${maker})`;
}
