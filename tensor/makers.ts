/** Which handler made the tensors of a scope that is over: for messages about those that are used nevertheless. */

/** Of so many scopes, by the end of their ids; a power of two. */
const PLACES = 1_024;

const ids = new Float64Array(PLACES);
const makers: string[] = [];

export function rememberMaker(scopeId: number, maker: string): void {
  const place = scopeId & (PLACES - 1);
  ids[place] = scopeId;
  makers[place] = maker;
}

/** What a message adds about a tensor with this `scopeId`; nothing if that is not known, or no more. */
export function madeBy(scopeId: number): string {
  const place = scopeId & (PLACES - 1);
  const maker = ids[place] === scopeId ? makers[place] : undefined;
  return maker === undefined ? '' : ` (made by the handler of ${maker})`;
}
