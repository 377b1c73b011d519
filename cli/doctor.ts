/** `gradwire doctor`: what is found on this machine, and whether what is computed here is right. */
import { DOCTOR_USAGE, parseDoctorOptions } from './doctor-options.ts';

/**
 * @param args what follows `doctor` on the command line
 * @returns the exit code: 0 if an engine loads, or if all gradients agree; 128 + n after signal n
 * @throws UsageError if the command line makes no sense
 */
export async function doctor(args: readonly string[]): Promise<number> {
  const options = parseDoctorOptions(args);
  if (options === 'help') {
    process.stdout.write(`${DOCTOR_USAGE}\n`);
    return 0;
  }
  // Loaded here and not before: the engines take their time, and the other commands have no need of them.
  if (options.isGrads) return (await import('./doctor-grads.ts')).doctorGrads(options);
  return (await import('./doctor-engines.ts')).doctorEngines(options);
}
