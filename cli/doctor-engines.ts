/** Plain `gradwire doctor`: versions, cores, and which engines load. */
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { type EngineName, getNumThreads, startEngine, tf } from '../tensor/index.ts';
import type { DoctorOptions } from './doctor-options.ts';

const ENGINES: readonly EngineName[] = ['wasm', 'cpu'];

interface EngineState {
  readonly engine: EngineName;
  /** Threads that it computes with; undefined if it does not load. */
  readonly threads?: number;
  /** Why it does not load. */
  readonly reason?: string;
}

/** @returns 0 if an engine loads, else 1 */
export async function doctorEngines({ isJson }: DoctorOptions): Promise<number> {
  const facts = {
    gradwire: versionOf('gradwire'),
    node: process.versions.node,
    platform: `${process.platform} ${process.arch}`,
    cores: availableParallelism(),
    tfjs: tf.version_core,
    'grpc-js': versionOf('@grpc/grpc-js'),
  };
  const { GRADWIRE_ENGINE: asked = '' } = process.env;
  const isUnknown = asked !== '' && !ENGINES.some((engine) => engine === asked);
  if (isUnknown)
    process.stderr.write(`gradwire: GRADWIRE_ENGINE is '${asked}', which is no engine\n`);
  const engines: EngineState[] = [];
  for (const engine of ENGINES) engines.push(await stateOf(engine));
  if (isJson) {
    process.stdout.write(`${JSON.stringify({ ...facts, engines })}\n`);
  } else {
    const rows = [
      ...Object.entries(facts).map(([name, fact]) => [name, String(fact)]),
      ...engines.map(({ engine, threads, reason }) => [
        `engine ${engine}`,
        reason === undefined
          ? `✓ ${threads} ${threads === 1 ? 'thread' : 'threads'}`
          : `✗ ${reason}`,
      ]),
    ];
    const width = Math.max(...rows.map(([name = '']) => name.length));
    const lines = rows.map(([name = '', fact]) => `${name.padEnd(width)}  ${fact}\n`);
    process.stdout.write(lines.join(''));
  }
  return !isUnknown && engines.some(({ threads }) => threads !== undefined) ? 0 : 1;
}

async function stateOf(engine: EngineName): Promise<EngineState> {
  try {
    await startEngine(engine);
    return { engine, threads: getNumThreads() };
  } catch (error) {
    return { engine, reason: error instanceof Error ? error.message : String(error) };
  }
}

function versionOf(name: string): string {
  const manifest: { readonly version: string } = createRequire(import.meta.url)(
    `${name}/package.json`,
  );
  return manifest.version;
}
