import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { openData } from '../../bench/data.ts';
import type { Request } from '../../bench/group.ts';
import { findPeer, Peer } from '../../bench/peer.ts';

const folder = mkdtempSync(join(tmpdir(), 'gradwire-test-peer-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** An interpreter that runs this shell script whatever it is given. */
function interpreter(name: string, script: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

test('an interpreter without torch is no peer, and one line says why and what to do', async () => {
  expect(await findPeer('/nonexistent')).toMatch(
    /^no peer: \/nonexistent cannot import torch \(there is no such file\); install Debian's .+ --peer PYTHON$/,
  );
  const bare = interpreter('bare', 'echo Traceback >&2; echo "no module torch" >&2; exit 1');
  expect(await findPeer(bare)).toContain('cannot import torch (no module torch)');
});

test('a peer says which versions it measures with', async () => {
  const about = { pytorch: '1.2', python: '3.4', numpy: '5.6', blas: ['libblas', 'libopenblas'] };
  const peer = await findPeer(interpreter('good', `echo '${JSON.stringify(about)}'`));
  expect((peer as Peer).about).toBe('PyTorch 1.2, Python 3.4, NumPy 5.6, libopenblas');
});

// Where the machine has PyTorch, the scripts are tried for what they say, not for how fast they are.
const peer = await findPeer();
const testWithPeer = peer instanceof Peer ? test : test.skip;

async function ask(script: string, ...requests: readonly Request[]): Promise<unknown[]> {
  using data = await openData(undefined);
  const flags = script === 'parameter_server.py' ? { data: data.path } : {};
  await using group = await (peer as Peer).start({ script, flags });
  const answers: unknown[] = [];
  for (const request of requests) answers.push(...(await group.ask(request)));
  return answers;
}

testWithPeer('parameter_server.py trains and gives the loss of each step', async () => {
  const [steps] = await ask('parameter_server.py', { do: 'steps', count: 2 });
  expect(steps).toEqual({
    ms: expect.any(Number),
    losses: [expect.any(Number), expect.any(Number)],
  });
});

testWithPeer('autograd_roundtrip.py gives the time of each pass', async () => {
  const [passes] = await ask('autograd_roundtrip.py', { do: 'passes', count: 2 });
  expect(passes).toEqual({ ms: [expect.any(Number), expect.any(Number)] });
});

testWithPeer('remote_calls.py gives rates and latencies', async () => {
  const rates = await ask(
    'remote_calls.py',
    { do: 'sequential', count: 3 },
    { do: 'outstanding', count: 9, width: 4 },
    { do: 'bandwidth', mib: 1, count: 2 },
  );
  expect(rates).toEqual([1, 2, 3].map(() => ({ value: expect.any(Number) })));
  const latencies = { do: 'latencies', mib: 1, ms: 20 };
  expect(await ask('remote_calls.py', latencies)).toEqual([{ ms: expect.any(Array) }]);
  await expect(ask('remote_calls.py', { do: 'nonsense' })).rejects.toThrow('nonsense');
});
