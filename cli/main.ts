#!/usr/bin/env node
/** The command `gradwire`: chooses the subcommand, and turns its end into an exit code. */
import { createRequire } from 'node:module';
import { CERTS_USAGE } from './certs-options.ts';
import { doctor } from './doctor.ts';
import { DOCTOR_USAGE } from './doctor-options.ts';
import { signalExitCode } from './launch.ts';
import { run } from './run.ts';
import { RUN_USAGE } from './run-options.ts';
import { UsageError } from './usage-error.ts';

const USAGE_EXIT_CODE = 2;

async function main([command, ...args]: readonly string[]): Promise<number> {
  switch (command) {
    case 'run':
      return run(args);
    case 'doctor':
      return doctor(args);
    case 'certs':
      // The form of certificates takes a while to load.
      return (await import('./certs.ts')).certs(args);
    case '--help':
    case '-h':
      process.stdout.write(
        `${RUN_USAGE}\n\n${DOCTOR_USAGE}\n\n${CERTS_USAGE}\n\ngradwire --help | --version\n`,
      );
      return 0;
    case '--version':
      process.stdout.write(`${version()}\n`);
      return 0;
    case undefined:
      throw new UsageError('no command given; try gradwire --help');
    default:
      throw new UsageError(`there is no command '${command}'; try gradwire --help`);
  }
}

function version(): string {
  const manifest: { readonly version: string } = createRequire(import.meta.url)(
    'gradwire/package.json',
  );
  return manifest.version;
}

// A reader that has gone (`gradwire … | head`) is no crash; a running job stops by its own listener.
process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
  if (code !== 'EPIPE') process.stderr.write(`gradwire: standard output: ${message}\n`);
  process.exitCode = code === 'EPIPE' ? signalExitCode('SIGPIPE') : 1;
});
process.stderr.on('error', () => undefined);

try {
  const code = await main(process.argv.slice(2));
  process.exitCode ??= code;
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`gradwire: ${error.message}\n`);
  process.exitCode = USAGE_EXIT_CODE;
}
