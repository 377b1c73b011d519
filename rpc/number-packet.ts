/** Messages that are one number: credit, offers, and what is said about a request by its id. */
import { GradwireError } from '../errors.ts';
import type { Packet } from './packet.ts';

/** A packet of one number of 48 bits. */
export function numberPacket(value: number): Packet {
  const bytes = Buffer.alloc(6);
  bytes.writeUIntLE(value, 0, 6);
  return { parts: [bytes], total: bytes.length };
}

/** The number of such a packet. @throws GradwireError `protocol_error` */
export function readNumber(bytes: Uint8Array): number {
  if (bytes.byteLength === 6) return Buffer.from(bytes).readUIntLE(0, 6);
  throw new GradwireError('protocol_error', 'a malformed number');
}
