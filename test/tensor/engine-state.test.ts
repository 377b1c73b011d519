import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import { setImmediate } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { GradwireError } from '../../errors.ts';
import {
  enterFrame,
  type Frame,
  frameSlot,
  installEngineState,
  isInsideKernel,
  outside,
  type Recorder,
  type TapeNode,
  tf,
} from '../../tensor/index.ts';
import { expectNoLeak } from '../support/leaks.ts';

interface Recording extends Frame {
  readonly recorder: Recorder;
  readonly made: tf.Tensor[];
  readonly nodes: string[];
}

/** A frame that notes what is made and recorded in it, and saves nothing. */
function recording(check: () => void = () => {}): Recording {
  const made: tf.Tensor[] = [];
  const nodes: string[] = [];
  class Tape extends Array<TapeNode> {
    override push(node: TapeNode): number {
      for (const t of node.saved) t.dispose();
      return nodes.push(isInsideKernel() ? 'save' : node.kernelName);
    }
  }
  const recorder: Recorder = { depth: 1, tape: new Tape(), needsSave: () => false, check };
  return { scope: { track: made, name: 'test', id: -100 }, recorder, made, nodes };
}

describe.each(['cpu', 'wasm'])('on %s', (engine) => {
  beforeEach(async () => {
    await tf.setBackend(engine);
    installEngineState();
  });

  test('without a frame tfjs behaves as ever', () =>
    expectNoLeak(() => {
      const x = tf.tensor1d([1, 2]);
      const g = tf.tidy(() => tf.grad((t) => tf.sum(tf.mul(t, t)))(x));
      expect([...g.dataSync()]).toEqual([2, 4]);
      expect(tf.engine().isTapeOn()).toBe(false);
      tf.dispose([x, g]);
    }));

  test('each flow has its own frame, across awaits', () =>
    expectNoLeak(async () => {
      const x = tf.tensor1d([1, 2]);
      const frames = [recording(), recording()];
      await Promise.all(
        frames.map((frame, i) =>
          enterFrame(frame, async () => {
            for (let n = 0; n <= i; n++) {
              tf.tanh(x);
              await setImmediate();
            }
            tf.tidy(() => {
              tf.exp(tf.neg(x));
            });
          }),
        ),
      );
      const plain = tf.neg(x);
      expect(frames.map((f) => f.nodes)).toEqual([
        ['Tanh', 'Neg', 'Exp'],
        ['Tanh', 'Tanh', 'Neg', 'Exp'],
      ]);
      // What a tidy frees never reaches the frame.
      expect(frames.map((f) => f.made.length)).toEqual([1, 2]);
      tf.dispose([x, plain, frames.map((f) => f.made)]);
    }));

  test('outside leaves the frame', () =>
    expectNoLeak(() => {
      const frame = recording();
      const plain = enterFrame(frame, () => outside(() => tf.scalar(1)));
      expect(frame.made).toEqual([]);
      plain.dispose();
    }));

  test('a refused operation leaves the engine as it was', () =>
    expectNoLeak(() => {
      const state = tf.engine().state;
      const frame = recording(() => {
        throw new GradwireError('context_released', 'over');
      });
      const x = tf.scalar(1);
      enterFrame(frame, () => {
        expect(() => tf.tidy(() => tf.tanh(x))).toThrow(/context_released/);
        expect(() => tf.grad((t) => tf.tanh(t))(x)).toThrow(/context_released/);
      });
      expect(state.kernelDepth).toBe(0);
      expect(state.scopeStack).toEqual([]);
      expect(state.gradientDepth).toBe(0);
      expect(tf.memory().numTensors).toBeGreaterThan(0);
      x.dispose();
    }));

  test('errors inside operations leave the engine as it was', () =>
    expectNoLeak(() => {
      const frame = recording();
      const x = tf.tensor1d([1, 2]);
      enterFrame(frame, () => {
        expect(() => tf.matMul(x as unknown as tf.Tensor2D, x as unknown as tf.Tensor2D)).toThrow();
        expect(() =>
          tf.tidy(() => {
            throw new Error('mine');
          }),
        ).toThrow('mine');
        expect(tf.engine().state.gradientDepth).toBe(1);
      });
      expect(tf.engine().state.kernelDepth).toBe(0);
      expect(tf.engine().state.scopeStack).toEqual([]);
      tf.dispose([x, frame.made]);
    }));

  test('saves that come while recording is paused are dropped', () =>
    expectNoLeak(() => {
      const frame = recording();
      const silent: Recorder = { ...frame.recorder, depth: 0, tape: null };
      const x = tf.scalar(3);
      const square = tf.customGrad((t, save) => {
        frameSlot.run({ scope: frame.scope, recorder: silent }, () => {
          (save as tf.GradSaveFunc)([t as tf.Tensor]);
        });
        return { value: tf.square(t as tf.Tensor), gradFunc: (dy: tf.Tensor) => dy };
      });
      enterFrame(frame, () =>
        tf.tidy(() => {
          square(x);
        }),
      );
      expect(frame.nodes).toHaveLength(1);
      x.dispose();
    }));
});

test('engine().reset() replaces the state, and the next frame installs again', async () => {
  await tf.setBackend('cpu');
  installEngineState();
  tf.engine().reset();
  await tf.setBackend('cpu');
  await expectNoLeak(() => {
    const frame = recording();
    const x = tf.scalar(1);
    enterFrame(frame, () => tf.tanh(x));
    expect(frame.nodes).toEqual(['Tanh']);
    tf.dispose([x, frame.made]);
  });
});

test('an engine of another shape is refused', async () => {
  await tf.setBackend('cpu');
  const engine = tf.engine();
  const state = engine.state;
  engine.state = { ...state, kernelDepth: undefined } as unknown as typeof state;
  expect(() => installEngineState()).toThrow(/engine_unavailable: tfjs-core 4\.22\.0 is not/);
  engine.state = state;
});

test('an operation on a freed tensor is refused by name, and the engine works on', async () => {
  await tf.setBackend('cpu');
  installEngineState();
  await expectNoLeak(() => {
    const [x, gone] = [tf.scalar(2), tf.tensor1d([1, 2])];
    gone.dispose();
    expect(() => tf.mul(x, gone)).toThrow(
      /^tensor_freed: Multiply was given a tensor of shape \[2\]/,
    );
    expect(() => tf.tidy(() => tf.concat([gone, gone]))).toThrow(/^tensor_freed: Concat/);
    expect(tf.tidy(() => tf.mul(x, x).dataSync()[0])).toBe(4);
    x.dispose();
  });
});
