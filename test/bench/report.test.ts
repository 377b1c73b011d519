import { expect, test } from '@jest/globals';
import { figure } from '../../bench/harness.ts';
import { machine, machineLine } from '../../bench/machine.ts';
import { json, table } from '../../bench/report.ts';

const missed = figure('tutorial.1x1.threads1', {
  unit: '1/s',
  better: 'more',
  ours: [5, 5, 5],
  theirs: [25, 25, 25],
  target: { of: 'ratio', least: 0.25 },
});
const alone = figure('autograd.roundtrip', {
  unit: 'ms',
  better: 'less',
  ours: [1.234],
  target: { of: 'ratio', least: 1 },
});
const failing = figure('tutorial.2x1', {
  unit: '1/s',
  better: 'more',
  ours: [12345, 12346, 12347],
  conditions: { peerFailure: 'modified by an inplace operation' },
});
const none = figure('autograd.contexts', {
  unit: 'tensors',
  better: 'less',
  ours: [0],
  target: { of: 'value', most: 0 },
});

test('the table has a line for each figure: ours, the peer, the ratio, and what became of the target', () => {
  const lines = table([missed, alone, failing, none]).trimEnd().split('\n');
  expect(lines[0]).toMatch(/^figure +unit +ours +peer +ratio +target$/);
  expect(lines[1]).toMatch(
    /^tutorial\.1x1\.threads1 +1\/s +5\.00 ±0 % +25\.0 ±0 % +0\.200 ±0 % +ratio >= 0\.25 MISSED$/,
  );
  expect(lines[2]).toMatch(/^autograd\.roundtrip +ms +1\.23 ±0 % +– +– +ratio >= 1 \(no peer\)$/);
  expect(lines[3]).toMatch(/^tutorial\.2x1 .+ fails: modified by an inplace operation +–$/);
  expect(lines[4]).toMatch(/^autograd\.contexts +tensors +0 ±0 % +– +– +value <= 0 reached$/);
  expect(lines).toHaveLength(5);
});

test('the JSON is an array of name, unit, value, peer, ratio and conditions', () => {
  const figures: unknown = JSON.parse(json([missed, failing]));
  expect(figures).toEqual([
    {
      name: 'tutorial.1x1.threads1',
      unit: '1/s',
      value: 5,
      peer: 25,
      ratio: 0.2,
      conditions: expect.objectContaining({ samples: 3, min: 5, p90: 5, target: 'ratio >= 0.25' }),
    },
    {
      name: 'tutorial.2x1',
      unit: '1/s',
      value: 12346,
      peer: null,
      ratio: null,
      conditions: expect.objectContaining({ peerFailure: 'modified by an inplace operation' }),
    },
  ]);
});

test('the machine is one line with cores, versions and load', () => {
  expect(machineLine()).toMatch(
    /^\d+ cores \(.+\), Node v\d+\S+, gradwire \d+\.\d+\.\d+\S*, load [\d.]+ at start$/,
  );
  expect(machine()).toMatchObject({ cores: expect.any(Number), node: process.version });
});
