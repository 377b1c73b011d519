/** What protects the connections of a worker, decided before anything is started: certificates, or nothing, which is said. */
import { exposedAddress, type ResolvedOptions } from './options.ts';
import { checkTlsHost, loadTls } from './tls.ts';

let hasWarned = false;

/** The options with their certificates read and checked. @throws GradwireError `invalid_argument`, see `loadTls` */
export function secured(options: ResolvedOptions): ResolvedOptions {
  const { rank, host, masterAddr, tls } = options;
  if (tls !== undefined) {
    const loaded = loadTls(tls);
    checkTlsHost(loaded, host ?? (rank === 0 ? masterAddr : '127.0.0.1'));
    return { ...options, tls: loaded };
  }
  const exposed = exposedAddress(options);
  if (exposed !== undefined && !hasWarned) {
    hasWarned = true;
    const message = `insecure: the token, tensors and all else go to and from ${exposed} in clear, for everybody on the way to read and change`;
    process.emitWarning(message, { type: 'GradwireWarning', code: 'GRADWIRE_INSECURE' });
  }
  return options;
}
