/** The state of an optimizer in a file: a run that is resumed from it is the run that was never stopped. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as optim from '../../optim/index.ts';
import { loadTensors, saveTensors, startEngine, tf } from '../../tensor/index.ts';
import { GoldenRun } from '../support/golden-optim.ts';
import { expectNoLeak } from '../support/leaks.ts';

const { Adam, loadOptimizer, SGD, saveOptimizer } = optim;

let folder: string;
beforeAll(async () => {
  await startEngine('cpu');
  folder = await mkdtemp(join(tmpdir(), 'gradwire-optim-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Adam with two groups, one with amsgrad, of the parameters of a run. */
function adamOf({ parameters }: GoldenRun): optim.Adam {
  const groups = [
    { params: parameters.slice(0, 2), lr: 0.1 },
    { params: parameters.slice(2), amsgrad: true },
  ];
  return new Adam(groups, { lr: 0.02 });
}

test('model, optimizer and schedule go on from their files', () =>
  expectNoLeak(async () => {
    const file = join(folder, 'adam');
    const whole = new GoldenRun('dense');
    const first = adamOf(whole);
    const schedule = new optim.ExponentialLR(first, { gamma: 0.9 });
    whole.stepTo(7, first);
    schedule.step();
    await saveOptimizer(file, first);
    const model = Object.fromEntries(whole.parameters.map((p, i) => [`p${i}`, p]));
    await saveTensors(`${file}.model`, model, {
      metadata: { schedule: JSON.stringify(schedule.stateDict()) },
    });
    const later = new GoldenRun('dense');
    const warm = adamOf(later);
    // The gradients of the first seven steps, to be where the other run is.
    later.stepTo(7, warm);
    warm.dispose();
    const { tensors, metadata } = await loadTensors(`${file}.model`);
    later.parameters.forEach((p, i) => {
      p.assign(tensors[`p${i}`] as tf.Tensor);
    });
    tf.dispose(tensors);
    const second = adamOf(later);
    const resumed = new optim.ExponentialLR(second, { gamma: 0.9 });
    await loadOptimizer(file, second);
    resumed.loadStateDict(JSON.parse(metadata['schedule'] ?? ''));
    expect(await second.stateDict()).toEqual(await first.stateDict());

    schedule.step();
    resumed.step();
    whole.stepTo(14, first);
    later.stepTo(14, second);
    expect(await later.values()).toEqual(await whole.values());
    expect(resumed.getLastLr()).toEqual(schedule.getLastLr());
    for (const each of [first, second, whole, later]) each.dispose();
  }));

test('a file of another optimizer, or no state at all, is refused and changes nothing', () =>
  expectNoLeak(async () => {
    const file = join(folder, 'bad');
    const run = new GoldenRun('dense');
    const [adam, sgd] = [adamOf(run), new SGD(run.parameters, { lr: 0.1, momentum: 0.9 })];
    run.stepTo(2, adam);
    run.stepTo(4, sgd);
    const before = await adam.stateDict();
    await saveOptimizer(file, sgd);
    await expect(loadOptimizer(file, adam)).rejects.toMatchObject({ code: 'invalid_argument' });

    const format = 'gradwire.optimizer.1';
    const x = tf.scalar(1);
    const ints = tf.scalar(1, 'int32');
    const bad: readonly (readonly [Record<string, tf.Tensor>, Record<string, string>])[] = [
      [{}, {}],
      [{}, { format: 'other' }],
      [{}, { format }],
      [{}, { format, steps: '[1', paramGroups: '[]' }],
      [{}, { format, steps: '{}', paramGroups: '[]' }],
      [{}, { format, steps: '[1]', paramGroups: 'null' }],
      [{ x }, { format, steps: '[1]', paramGroups: '[]' }],
      [{ '1.x': x }, { format, steps: '[1]', paramGroups: '[]' }],
      [{ '00.x': x }, { format, steps: '[1]', paramGroups: '[]' }],
      [{ '0.x': ints }, { format, steps: '[1]', paramGroups: '[]' }],
    ];
    for (const [record, metadata] of bad) {
      await saveTensors(file, record, { metadata });
      await expect(loadOptimizer(file, adam)).rejects.toMatchObject({ code: 'file_error' });
    }
    // All that is left to the optimizer to refuse.
    await saveTensors(
      file,
      { '0.__proto__': x },
      { metadata: { format, steps: '[1]', paramGroups: '[]' } },
    );
    await expect(loadOptimizer(file, adam)).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(await adam.stateDict()).toEqual(before);
    tf.dispose([x, ints]);
    for (const each of [adam, sgd, run]) each.dispose();
  }));
