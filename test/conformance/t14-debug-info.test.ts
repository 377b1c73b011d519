/** What PyTorch RPC checks of itself, theme T14: counters. */
import { describe, expect, test } from '@jest/globals';
import { autograd } from '../../index.ts';
import { getDebugInfo } from '../../rpc/api.ts';
import { agentInfo, rrefInfo } from '../../rpc/debug-info.ts';
import { startCluster, TRANSPORTS } from '../support/cluster.ts';
import { held, newGate } from '../support/services.ts';
import { until } from '../support/until.ts';

describe.each(TRANSPORTS)('%s', (transport) => {
  test('test_debug_info: it is the disjoint union of the maps of calls, references and autograd', async () => {
    await using cluster = await startCluster({ transport });
    const worker = cluster.at(0);
    const whole = worker.getDebugInfo();
    const parts = [agentInfo(worker), rrefInfo(worker)];
    const names = Object.keys(whole);
    const ofAutograd = names.filter((name) => name.startsWith('autograd.'));
    expect(ofAutograd.sort()).toEqual([
      'autograd.numContexts',
      'autograd.numCurrentBackwardPasses',
    ]);
    const ofRpc = parts.flatMap((part) => Object.keys(part));
    expect(new Set(ofRpc).size).toBe(ofRpc.length);
    expect([...ofRpc, ...ofAutograd].sort()).toEqual(names.sort());
    expect(Object.values(whole).every((count) => count === 0)).toBe(true);
    expect(worker.run(getDebugInfo)).toEqual(whole);
  });

  test('it counts what is under way', async () => {
    await using cluster = await startCluster({ transport });
    const [a, b] = [cluster.at(0), cluster.at(1)];
    const gate = newGate();
    const call = a.rpcAsync(1, held, ['x']);
    using rref = a.remote(1, held, ['y']);
    await until(() => gate.arrived === 2);
    expect(a.getDebugInfo()).toMatchObject({
      'agent.clientActiveCalls': 2,
      'agent.serverActiveCalls': 0,
      'agent.serverActiveAsyncCalls': 0,
      'rref.numOwnerRrefs': 0,
      'rref.numUserRrefs': 1,
    });
    expect(b.getDebugInfo()).toMatchObject({
      'agent.clientActiveCalls': 0,
      'agent.serverActiveCalls': 2,
      'rref.numOwnerRrefs': 1,
      'rref.numUserRrefs': 0,
    });
    gate.open();
    await Promise.all([call, rref.toHere()]);
    await a.run(() =>
      autograd.context(async () => {
        expect(a.getDebugInfo()['autograd.numContexts']).toBe(1);
        await Promise.resolve();
      }),
    );
    expect(a.getDebugInfo()).toMatchObject({
      'autograd.numContexts': 0,
      'agent.clientActiveCalls': 0,
    });
  });
});
