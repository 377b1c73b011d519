/** How rank 0's changes of a dynamic group travel, and what a worker accepts of them. Pure. */
import { Head } from './head.ts';
import type { Change, Departed, Seat } from './roster.ts';

/** The head of a `view` message. */
export function encodeChange({ number, seats, leaving, departed }: Change): unknown {
  return [
    number,
    seats.map(({ name, rank, address, incarnation, since, liveness = '' }) => {
      return [name, rank, address, incarnation, since, liveness];
    }),
    leaving,
    departed.map(({ incarnation, hasLeft }) => [incarnation, hasLeft]),
  ];
}

/** @throws GradwireError `protocol_error` */
export function decodeChange(fields: unknown): Change {
  const head = new Head(fields);
  return {
    number: head.rank(0),
    seats: head.list(1).map(decodeSeat),
    leaving: head.list(2).map((_, index, all) => new Head(all).text(index)),
    departed: head.list(3).map(decodeDeparted),
  };
}

function decodeSeat(fields: unknown): Seat {
  const head = new Head(fields);
  return {
    name: head.text(0),
    rank: head.rank(1),
    address: head.text(2),
    incarnation: head.text(3),
    since: head.rank(4),
    liveness: head.text(5) || undefined,
  };
}

function decodeDeparted(fields: unknown): Departed {
  const head = new Head(fields);
  return { incarnation: head.text(0), hasLeft: head.flag(1) };
}
