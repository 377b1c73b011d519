/** That the conformance suite leaves nothing out: every layer, every gradient, PyTorch wherever it has the operation. */
import { expect, test } from '@jest/globals';
import {
  CASES,
  elements,
  GOLDENS,
  hasGradient,
  type Kind,
  measure,
  reasonWithoutGolden,
  relativeDifference,
  SAMPLES,
  unpacked,
} from '../../tensor/conformance/index.ts';
import { startEngine, tf } from '../../tensor/index.ts';

const NAMES = new Set(CASES.map(({ name }) => name));

/** Layers of tf.layers without a case, and why. */
const UNCOVERED: Readonly<Record<string, string>> = {
  Layer: 'the class of all layers, which computes nothing',
  RNN: 'the class behind rnn',
  RNNCell: 'the class of all cells',
  input: 'makes the input of a model, and computes nothing',
  inputLayer: 'the input of a model, and computes nothing',
  categoryEncoding: 'counts integers, which have no gradient',
  randomWidth: 'draws its width anew at each call',
  centerCrop: 'tfjs has no gradient for cropAndResize, which it runs',
  avgPool1d: 'another name of averagePooling1d',
  avgPooling1d: 'another name of averagePooling1d',
  avgPool2d: 'another name of averagePooling2d',
  avgPooling2d: 'another name of averagePooling2d',
  avgPool3d: 'another name of averagePooling3d',
  avgPooling3d: 'another name of averagePooling3d',
  maxPool1d: 'another name of maxPooling1d',
  maxPool2d: 'another name of maxPooling2d',
  globalMaxPool1d: 'another name of globalMaxPooling1d',
  globalMaxPool2d: 'another name of globalMaxPooling2d',
};

/** Gradients that tfjs registers and no case runs, and why. */
const UNREACHED: Readonly<Record<string, string>> = {
  BroadcastTo: 'no engine has that kernel: broadcastTo runs Tile',
  ComplexAbs: 'tfjs lets no gradient reach complex numbers',
  LogSoftmax: 'no engine has that kernel: logSoftmax brings its gradient',
};

test('every layer of tf.layers has a case or a reason', () => {
  const covered = new Set(
    [...NAMES].map((name) => /^layers\.(\w+)/.exec(name)?.[1]).filter((name) => name !== undefined),
  );
  const all = Object.keys(tf.layers);
  expect(all.filter((name) => !covered.has(name) && !(name in UNCOVERED))).toEqual([]);
  const obsolete = [...covered, ...Object.keys(UNCOVERED)].filter((name) => !all.includes(name));
  expect([...obsolete, ...Object.keys(UNCOVERED).filter((name) => covered.has(name))]).toEqual([]);
});

test('every gradient that tfjs has is run by a case or has a reason', async () => {
  await startEngine('cpu');
  const reached = new Set<string>();
  const gradients = kernelNames().flatMap((name) => tf.getGradient(name) ?? []);
  expect(gradients.length).toBeGreaterThan(100);
  const originals = gradients.map(({ gradFunc }) => gradFunc);
  for (const [i, gradient] of gradients.entries()) {
    gradient.gradFunc = (...given) => {
      reached.add(gradient.kernelName);
      return (originals[i] as tf.GradFunc)(...given);
    };
  }
  try {
    for (const each of CASES) if (hasGradient(each)) measure(each);
  } finally {
    for (const [i, gradient] of gradients.entries()) {
      gradient.gradFunc = originals[i] as tf.GradFunc;
    }
  }
  const names = gradients.map(({ kernelName }) => kernelName);
  expect(names.filter((name) => !reached.has(name) && !(name in UNREACHED))).toEqual([]);
  expect(Object.keys(UNREACHED).filter((name) => reached.has(name))).toEqual([]);
});

/** The registry of gradients cannot be listed, but the names of all kernels are exported. */
function kernelNames(): string[] {
  return [...new Set(Object.values(tf).filter((value) => typeof value === 'string'))];
}

test('PyTorch is asked about every case, or there is a reason', () => {
  const unasked = CASES.filter((each) => !(each.name in GOLDENS) && !reasonWithoutGolden(each));
  expect(unasked.map(({ name }) => name)).toEqual([]);
  expect(Object.keys(GOLDENS).filter((name) => !NAMES.has(name))).toEqual([]);
  expect(Object.keys(GOLDENS).length).toBeGreaterThanOrEqual(300);
});

test('a case without gradient says why', () => {
  for (const { name, kind, reason } of CASES) {
    const isDerived = kind === 'smooth' || kind === 'ties';
    expect({ name, isExplained: isDerived !== (reason !== undefined) }).toMatchObject({
      isExplained: true,
    });
  }
});

test('PyTorch was given the same numbers', () => {
  for (const [kind, size, position, text] of SAMPLES) {
    const mine = elements(kind as Kind, size, position);
    expect(relativeDifference(mine, unpacked(text))).toBe(0);
  }
});
