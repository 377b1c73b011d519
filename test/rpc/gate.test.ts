import { Metadata } from '@grpc/grpc-js';
import { expect, test } from '@jest/globals';
import { Gate, WrongTokens } from '../../rpc/grpc/gate.ts';
import { METADATA, PROTOCOL } from '../../rpc/grpc/service.ts';

function metadata(token?: string, protocol: string = PROTOCOL): Metadata {
  const made = new Metadata();
  made.set(METADATA.protocol, protocol);
  if (token !== undefined) made.set(METADATA.token, token);
  return made;
}

test('a wrong token, another protocol, and no token yet', () => {
  let token: string | undefined = 'secret';
  const gate = new Gate(() => token);
  expect(gate.refusal(metadata('secret'), '10.0.0.1')).toBeUndefined();
  expect(gate.refusal(metadata('wrong'), '10.0.0.1')).toBe(
    'the token of the run is missing or wrong',
  );
  expect(gate.refusal(metadata(), '10.0.0.1')).toBe('the token of the run is missing or wrong');
  expect(gate.refusal(metadata('secret', '0'), '10.0.0.1')).toMatch(/speaks protocol/);
  token = undefined;
  for (let i = 0; i < 20; i++) gate.refusal(metadata('secret'), '10.0.0.1');
  token = 'secret';
  expect(gate.refusal(metadata('secret'), '10.0.0.1')).toBeUndefined();
});

test('who guesses is not heard for a while, whatever it says; others are (T10)', () => {
  const gate = new Gate(() => 'secret');
  for (let i = 0; i < 6; i++) gate.refusal(metadata(`guess ${i}`), '::ffff:10.0.0.1');
  expect(gate.refusal(metadata('secret'), '10.0.0.1')).toMatch(
    /^too many wrong tokens .* for 1 s$/,
  );
  expect(gate.refusal(metadata('secret'), '10.0.0.2')).toBeUndefined();
  // On loopback strangers would lock out members.
  for (let i = 0; i < 50; i++) gate.refusal(metadata(`guess ${i}`), '127.0.0.1');
  expect(gate.refusal(metadata('secret'), '127.0.0.1')).toBeUndefined();
});

test('pauses double, up to a minute, and end with a right token', () => {
  let now = 0;
  const tokens = new WrongTokens(() => now);
  const pauses: number[] = [];
  for (let i = 0; i < 14; i++) {
    tokens.wrong('a');
    pauses.push(tokens.pauseMs('a') / 1000);
    now += 100_000;
  }
  expect(pauses).toEqual([0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
  tokens.right('a');
  tokens.wrong('a');
  expect(tokens.pauseMs('a')).toBe(0);
});

test('a thousand addresses are remembered, the latest', () => {
  const tokens = new WrongTokens(() => 0);
  for (let i = 0; i < 6; i++) tokens.wrong('first');
  expect(tokens.pauseMs('first')).toBeGreaterThan(0);
  for (let i = 0; i < 1_000; i++) tokens.wrong(`10.0.${i >> 8}.${i & 255}`);
  expect(tokens.pauseMs('first')).toBe(0);
});
