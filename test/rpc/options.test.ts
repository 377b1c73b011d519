import { expect, test } from '@jest/globals';
import { checkTimeout, type InitOptions, resolveOptions } from '../../rpc/options.ts';

const least = { name: 'w', rank: 0, worldSize: 2 };

test('what is not given comes from the environment, else from defaults', () => {
  const env = {
    RANK: '1',
    WORLD_SIZE: '3',
    MASTER_ADDR: 'localhost',
    MASTER_PORT: '1234',
    GRADWIRE_TOKEN: 't',
  };
  expect(resolveOptions({ name: 'w' }, env)).toEqual({
    name: 'w',
    rank: 1,
    worldSize: 3,
    checksums: false,
    masterAddr: '127.0.0.1',
    masterPort: 1234,
    initTimeoutMs: 60_000,
    timeoutMs: 60_000,
    insecure: false,
    transport: 'grpc',
    maxMessageBytes: 1024 ** 3,
    maxInFlightCalls: 10_000,
    maxQueuedCalls: 10_000,
    maxPeerCalls: 50_000,
    maxPeerReferences: 100_000,
    maxPeerContexts: 1_000,
    heartbeatMs: 500,
    deadAfterMs: 3_000,
    livenessPort: 0,
    token: 't',
  });
  const given = { ...least, masterAddr: '127.0.0.2', masterPort: 5, token: 'u' };
  expect(resolveOptions(given, env)).toMatchObject(given);
  expect(resolveOptions(least, {})).toMatchObject({ masterAddr: '127.0.0.1', masterPort: 29500 });
  expect(resolveOptions(least, { MASTER_PORT: '' }).masterPort).toBe(29500);
});

test('the init method is env:// or a tcp address, as in PyTorch', () => {
  const initMethod = 'tcp://localhost:2345?rank=1&world_size=4';
  expect(resolveOptions({ name: 'w', initMethod }, { RANK: '0' })).toMatchObject({
    masterAddr: '127.0.0.1',
    masterPort: 2345,
    rank: 1,
    worldSize: 4,
  });
  expect(resolveOptions({ ...least, initMethod: 'env://' }, {}).rank).toBe(0);
  const six = resolveOptions({ ...least, initMethod: 'tcp://[::1]:99' }, {});
  expect([six.masterAddr, six.masterPort]).toEqual(['::1', 99]);
  for (const bad of ['tcp://host', 'http://host:5', 'file:///tmp/x', 'nonsense', 'tcp://:80']) {
    expect(() => resolveOptions({ ...least, initMethod: bad }, {})).toThrow(/neither env:\/\/ nor/);
  }
  expect(() => resolveOptions({ name: 'w', initMethod: 'tcp://localhost:1?rank=x' }, {})).toThrow(
    /^invalid_argument/,
  );
});

test.each<[string, Partial<InitOptions>, RegExp]>([
  ['an unknown carrier', { transport: 'tcp' as never }, /transport tcp is neither/],
  ['a carrier that is none', { transport: {} as never }, /nor an object with start/],
  ['test_invalid_names: an empty name', { name: '' }, /the worker name ""/],
  ['test_invalid_names: a name with blanks', { name: 'a b' }, /the worker name "a b"/],
  ['test_invalid_names: a name with signs', { name: 'a*' }, /must be 1 to 127 letters/],
  ['test_invalid_names: a long name', { name: 'x'.repeat(128) }, /must be 1 to 127/],
  ['a rank that is none', { rank: -1 }, /rank -1 is not between 0 and 1/],
  ['a rank beyond the world', { rank: 2 }, /rank 2 is not between 0 and 1/],
  ['a broken rank', { rank: 0.5 }, /rank 0.5/],
  ['an empty world', { worldSize: 0 }, /world size 0/],
  ['a port that is none', { masterPort: 65536 }, /masterPort 65536 is not a port/],
  ['a rank that is a text', { rank: '0' as never }, /rank '0' is no number/],
  [
    'an init timeout that is a text',
    { initTimeoutMs: 'x' as never },
    /initTimeoutMs 'x' is not a pos/,
  ],
  ['a timeout that is none', { timeoutMs: 0 }, /timeoutMs 0 is not a positive/],
  ['an init timeout that is none', { initTimeoutMs: Number.NaN }, /initTimeoutMs NaN/],
  ['a heartbeat too fast', { heartbeatMs: 10 }, /heartbeatMs 10 is not between 20 and 60,000/],
  ['a death too soon', { heartbeatMs: 500, deadAfterMs: 1_000 }, /deadAfterMs 1000 is less than/],
  ['no limit of silence', { deadAfterMs: Number.NaN }, /deadAfterMs NaN/],
  ['a second port that is none', { livenessPort: -1 }, /livenessPort -1 is not a port/],
  ['a lease that is none', { referenceLeaseMs: 0 }, /referenceLeaseMs 0 is not a positive/],
  ['a limit too small', { maxMessageBytes: 100 }, /maxMessageBytes 100/],
])('refuses %s', (_, options, message) => {
  expect(() => resolveOptions({ ...least, ...options }, {})).toThrow(/^invalid_argument/);
  expect(() => resolveOptions({ ...least, ...options }, {})).toThrow(message);
});

test('a missing rank, and variables that are no numbers, are named', () => {
  expect(() => resolveOptions({ name: 'w', worldSize: 1 }, {})).toThrow(/no rank: .*RANK/);
  expect(() => resolveOptions({ name: 'w' }, { RANK: '1x' })).toThrow(/RANK=1x is not a whole/);
});

test('names with all that is allowed', () => {
  for (const name of ['x', 'Worker_1:a-b', 'x'.repeat(127)]) {
    expect(resolveOptions({ ...least, name }, {}).name).toBe(name);
  }
});

test('beyond loopback only knowingly, with a token and an address', () => {
  const away = { ...least, masterAddr: '10.0.0.1' };
  expect(() => resolveOptions(away, {})).toThrow(/^insecure_address: 10.0.0.1 is beyond this host/);
  expect(() => resolveOptions({ ...least, host: '0.0.0.0' }, {})).toThrow(/^insecure_address/);
  expect(() => resolveOptions({ ...away, insecure: true }, {})).toThrow(/needs a token/);
  const known = { ...away, insecure: true, token: 't' };
  expect(resolveOptions(known, {}).masterAddr).toBe('10.0.0.1');
  expect(() => resolveOptions({ ...known, rank: 1 }, {})).toThrow(/host is needed/);
  expect(resolveOptions({ ...known, rank: 1, host: '10.0.0.2' }, {}).host).toBe('10.0.0.2');
});

test('time limits are positive, for ever is one', () => {
  expect(checkTimeout('t', Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
  for (const bad of [0, -5, Number.NaN, '5', undefined, null]) {
    expect(() => checkTimeout('t', bad as number)).toThrow(/^invalid_argument: t /);
  }
  // Timers cannot count for ever: about 24 days must do for init.
  const { initTimeoutMs } = resolveOptions(
    { ...least, initTimeoutMs: Number.POSITIVE_INFINITY },
    {},
  );
  expect(initTimeoutMs).toBe(2 ** 31 - 1);
});

test('options are needed', () => {
  for (const none of [undefined, null, 'w']) {
    expect(() => resolveOptions(none as never, {})).toThrow(/^invalid_argument: init takes/);
  }
});

test('an empty variable is none, and an empty token is refused', () => {
  const empty = { GRADWIRE_TOKEN: '', MASTER_ADDR: '' };
  const resolved = resolveOptions(least, empty);
  expect(resolved).toMatchObject({ masterAddr: '127.0.0.1' });
  expect(resolved.token).toBeUndefined();
  const exposed = { ...least, masterAddr: '10.1.2.3', insecure: true };
  expect(() => resolveOptions(exposed, empty)).toThrow(/needs a token/);
  for (const token of ['', 'two words', 'line\n', 5 as unknown as string]) {
    expect(() => resolveOptions({ ...least, token }, {})).toThrow(/^invalid_argument: the token/);
  }
  expect(() =>
    resolveOptions({ name: 'w', initMethod: 'tcp://h:1?rank=&world_size=1' }, {}),
  ).toThrow(/rank= is not a whole number/);
});

test('every spelling of a group, static or dynamic', () => {
  const spelled = (options: Partial<InitOptions>, env: Record<string, string> = {}) => {
    const { rank, worldSize, masterPort } = resolveOptions({ name: 'w', ...options }, env);
    return [rank, worldSize, masterPort];
  };
  const dynamic = 0;
  const RANK = '3';
  expect(spelled({ rank: 1, worldSize: 2 })).toEqual([1, 2, 29500]);
  expect(spelled({ rank: 7 })).toEqual([7, dynamic, 29500]);
  expect(spelled({}, { RANK, WORLD_SIZE: '4', MASTER_PORT: '1' })).toEqual([3, 4, 1]);
  expect(spelled({}, { RANK, WORLD_SIZE: '' })).toEqual([3, dynamic, 29500]);
  expect(spelled({ worldSize: 'dynamic' }, { RANK, WORLD_SIZE: '4' })).toEqual([3, dynamic, 29500]);
  expect(
    spelled({ initMethod: 'tcp://h:5?rank=9', insecure: true, token: 't', host: 'h' }),
  ).toEqual([9, dynamic, 5]);
  expect(spelled({ initMethod: 'tcp://localhost:5', rank: 1 }, { WORLD_SIZE: '2' })).toEqual([
    1, 2, 5,
  ]);
  expect(spelled({ initMethod: 'tcp://localhost:5?rank=1&world_size=3' })).toEqual([1, 3, 5]);
  expect(spelled({ initMethod: 'env://', worldSize: 'dynamic', rank: 0 })).toEqual([
    0,
    dynamic,
    29500,
  ]);
  expect(() => spelled({ rank: 0, worldSize: 'many' as never })).toThrow(
    /world size many.*'dynamic'/,
  );
  expect(() => spelled({ rank: -1 })).toThrow(/rank -1 is not between 0 and .* \(dynamic group\)/);
  expect(() => spelled({ rank: 2 ** 31 })).toThrow(/^invalid_argument: rank/);
});
