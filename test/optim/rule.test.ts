import { beforeAll, expect, test } from '@jest/globals';
import '@tensorflow/tfjs-backend-cpu';
import { optimizerName, optimizerNamed, registerOptimizer } from '../../optim/rule.ts';
import { SGD } from '../../optim/sgd.ts';
import { tf } from '../../tensor/index.ts';
import { expectNoLeak } from '../support/leaks.ts';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

test('SGD is known by its name', async () => {
  await expectNoLeak(() => {
    expect(optimizerName(SGD)).toBe('SGD');
    expect(optimizerNamed('SGD')).toBe(SGD);
  });
});

test('a class is registered once, under one name', async () => {
  await expectNoLeak(() => {
    class Mine extends SGD {}
    expect(() => optimizerName(Mine)).toThrow(expect.objectContaining({ code: 'not_registered' }));
    registerOptimizer('Mine', Mine);
    registerOptimizer('Mine', Mine);
    expect(optimizerName(Mine)).toBe('Mine');
    const taken = expect.objectContaining({ code: 'already_registered' });
    expect(() => registerOptimizer('Mine', class extends SGD {})).toThrow(taken);
    expect(() => registerOptimizer('Yours', Mine)).toThrow(taken);
  });
});

test('an unknown name says which there are', async () => {
  await expectNoLeak(() => {
    const named = () => optimizerNamed('constructor');
    expect(named).toThrow(expect.objectContaining({ code: 'unknown_function' }));
    expect(named).toThrow(/SGD/);
  });
});
