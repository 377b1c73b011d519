import { expect, test } from '@jest/globals';
import { madeBy, rememberMaker } from '../../tensor/makers.ts';

test('the handlers of the scopes that ended last are remembered', () => {
  for (let id = -1_000_000; id > -1_003_000; id--) rememberMaker(id, `f${id}`);
  expect(madeBy(-1_002_999)).toBe(' (made by the handler of f-1002999)');
  expect([madeBy(-1_000_000), madeBy(0), madeBy(7)]).toEqual(['', '', '']);
});
