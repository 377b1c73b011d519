import { expect, test } from '@jest/globals';
import { parseDoctorOptions } from '../../cli/doctor-options.ts';

test.each([
  [[], { isGrads: false, isJson: false }],
  [['--json'], { isGrads: false, isJson: true }],
  [['--grads'], { isGrads: true, isJson: false }],
  [['--json', '--grads'], { isGrads: true, isJson: true }],
])('%j', (args, options) => {
  expect(parseDoctorOptions(args)).toEqual(options);
});

test.each([
  [['wasm'], /takes no 'wasm'/],
  [['--grads', '--'], /takes no '--'/],
  [['--gradients'], /unknown option --gradients/],
  [['--grads=1'], /unknown option --grads=1/],
  [['-x'], /unknown option -x/],
])('%j is refused', (args, message) => {
  expect(() => parseDoctorOptions(args)).toThrow(message);
});

test('help wins', () => {
  expect(parseDoctorOptions(['--grads', '--help'])).toBe('help');
  expect(parseDoctorOptions(['-h'])).toBe('help');
});
