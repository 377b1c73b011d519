/** What the figures were measured on: they mean nothing without it. Measures nothing. */
import { createRequire } from 'node:module';
import { availableParallelism, cpus, loadavg } from 'node:os';
import type { Conditions } from './harness.ts';

const { version } = createRequire(import.meta.url)('gradwire/package.json') as { version: string };

/** Processes that were running or waiting to, averaged over a minute; 0 where the system does not tell. */
export function load(): number {
  return loadavg()[0] as number;
}

/** The conditions that all figures of a run share. */
export function machine(): Conditions & { readonly cores: number; readonly cpu: string } {
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown processor',
    node: process.version,
    gradwire: version,
  };
}

/** The machine in one line. */
export function machineLine(): string {
  const { cores, cpu } = machine();
  return `${cores} cores (${cpu}), Node ${process.version}, gradwire ${version}, load ${load().toFixed(2)} at start`;
}
