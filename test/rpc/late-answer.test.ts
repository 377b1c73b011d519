/** What a handler makes of the end of its time is no answer: its caller must hear that the time is over, whoever is faster. */
import { expect, test } from '@jest/globals';
import type { Answer } from '../../rpc/answering.ts';
import { Deadlines } from '../../rpc/deadlines.ts';
import { IncomingRequests } from '../../rpc/incoming.ts';
import { type Packet, pack } from '../../rpc/packet.ts';
import type { RunningCall } from '../../rpc/running-call.ts';
import { until } from '../support/until.ts';

function request(timeoutMs: number): Uint8Array {
  const message = { head: null, body: [], bodyName: 'arguments' };
  const { parts } = pack(message, [], () => ({ timeoutMs })) as Packet;
  return Buffer.concat(parts);
}

test.each([
  ['returns', () => 'what there is'],
  [
    'throws',
    () => {
      throw new Error('stopped');
    },
  ],
])('a handler that %s when its signal aborts is not answered for', async (_name, ends) => {
  const deadlines = new Deadlines();
  const answers: Answer[] = [];
  let call: RunningCall | undefined;
  let done = 0;
  const requests = new IncomingRequests({
    interceptors: [],
    extensions: { incoming: new Map(), unconfirmed: [] },
    deadlines,
    enter: (_peer, running, work) => {
      call = running;
      return work();
    },
    packItem: () => {
      throw new Error('no stream');
    },
    sendItem: () => {},
    answer: (answer) => answers.push(answer),
    done: () => done++,
  });
  requests.handle('call', async () => {
    await new Promise((resolve) => call?.signal.addEventListener('abort', resolve));
    return ends();
  });
  requests.request(1, { kind: 'call', id: 1, bytes: request(20) });
  await until(() => done === 1);
  expect(answers).toEqual([]);
  // One that never looks at its signal is answered for, in time or not.
  requests.handle('call', () => 'done');
  requests.request(1, { kind: 'call', id: 2, bytes: request(20) });
  expect(answers).toMatchObject([{ id: 2, kind: 'reply', body: 'done' }]);
  expect(requests.running).toBe(0);
  deadlines.close();
});
