/** Checked by the compiler: a wrong line here fails the build. */
import { expect, test } from '@jest/globals';
import { autograd, type tf } from '../../index.ts';
import { type Handle, MyModule, NoModule } from './modules.ts';

test('types follow the class', () => {
  const typed = async (module: Handle, x: tf.Tensor): Promise<void> => {
    const { y, word }: { y: tf.Tensor; word: string } = await module.forward(x, 1, 'word');
    // @ts-expect-error the factor is missing
    await module.forward(x);
    // @ts-expect-error the output is no number
    const wrong: number = await module.forwardAsync(x, 1);
    // @ts-expect-error the class takes numbers
    new autograd.RemoteModule('worker1', MyModule, ['two']);
    // @ts-expect-error the class takes at least one
    new autograd.RemoteModule('worker1', MyModule);
    // @ts-expect-error it has no forward
    new autograd.RemoteModule('worker1', NoModule);
    const optional: Handle = new autograd.RemoteModule('worker1', MyModule, [1]);
    void [y, word, wrong, optional];
  };
  expect(typed).toBeDefined();
});
