/** `npm run bench [-- SUITE...]`: measures, prints a table, and writes JSON when asked. */
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { autograd } from './autograd.ts';
import { type Command, helpText, readCommand, UsageError } from './command.ts';
import { faults } from './faults.ts';
import type { Figure, Suite } from './harness.ts';
import { load, machine, machineLine } from './machine.ts';
import { findPeer, type Peer } from './peer.ts';
import { endOnSignals } from './processes.ts';
import { json, table } from './report.ts';
import { rpc } from './rpc.ts';
import { tutorial } from './tutorial.ts';

const SUITES: ReadonlyMap<string, Suite> = new Map(
  Object.entries({ tutorial, autograd, rpc, faults }),
);

async function main(): Promise<void> {
  const names = [...SUITES.keys()];
  const command = readCommand(process.argv.slice(2), names);
  if (command === undefined) {
    process.stdout.write(helpText(names));
    return;
  }
  // Better now than after the measurement.
  if (command.json !== undefined) checkWritable(command.json);
  // One thread wherever a figure does not say otherwise, in this process and in its children.
  process.env['GRADWIRE_THREADS'] = '1';
  endOnSignals();
  console.log(machineLine());
  const peer = await usablePeer(command);
  const figures: Figure[] = [];
  for (const name of command.suites) {
    const measured = await runSuite(name, command, peer);
    process.stdout.write(table(measured));
    figures.push(...measured);
  }
  console.log(`load ${load().toFixed(2)} at the end`);
  if (command.json !== undefined) writeFileSync(command.json, json(figures));
}

async function runSuite(
  name: string,
  { rounds, data }: Command,
  peer: Peer | undefined,
): Promise<readonly Figure[]> {
  const suite = SUITES.get(name) as Suite;
  // Not among the figures, and a sign of life: a suite takes minutes.
  const note = (line: string): void => console.error(`${name}: ${line}`);
  const before = load();
  const measured = await suite({ rounds, data, peer, note });
  const shared = { ...machine(), load: [before, load()], rounds };
  return measured.map((one) => ({ ...one, conditions: { ...shared, ...one.conditions } }));
}

/** Says which peer there is. */
async function usablePeer({ peer: python }: Command): Promise<Peer | undefined> {
  const found = python === 'none' ? 'no peer, as asked' : await findPeer(python);
  if (typeof found === 'string') {
    console.log(found);
    return undefined;
  }
  console.log(`peer: ${found.about}`);
  return found;
}

/** @throws UsageError */
function checkWritable(file: string): void {
  try {
    closeSync(openSync(file, 'a'));
  } catch (error) {
    throw new UsageError(`--json ${file} cannot be written: ${(error as Error).message}`);
  }
}

main().catch((error: Error) => {
  // What the user can mend is one line; anything else is a bug and shows where.
  const isUsage = error instanceof UsageError || error.name === 'DataError';
  console.error(isUsage ? error.message : error.stack);
  process.exit(isUsage ? 2 : 1);
});
