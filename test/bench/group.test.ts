import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { Group } from '../../bench/group.ts';
import { type Child, startCommand } from '../../bench/processes.ts';
import { until } from '../support/until.ts';

/** Joins, then answers each request with its own rank and the request, fails when told to, and leaves with its stdin. */
const MEMBER = `
  const [rank] = process.argv.slice(-1);
  console.log(JSON.stringify({ rank }));
  require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
    const request = JSON.parse(line);
    if (request.do === 'die') { console.error('a\\nlast words'); process.exit(3); }
    console.log('noise that is no answer');
    console.log(JSON.stringify(request.do === 'fail' ? { error: 'no ' + rank } : { rank, request }));
  });
`;

function members(count: number, program: string = MEMBER): Child[] {
  return Array.from({ length: count }, (_, rank) =>
    startCommand(process.execPath, ['-e', program, String(rank)], {}),
  );
}

test('all members but the server are asked at once, and leave by themselves', async () => {
  const children = members(3);
  const { group, about } = await Group.of(children, { isPeer: false });
  expect(about).toEqual({ rank: '0' });
  const request = { do: 'steps', count: 2 };
  expect(await group.ask(request)).toEqual([
    { rank: '1', request },
    { rank: '2', request },
  ]);
  await group[Symbol.asyncDispose]();
  expect(children.map(({ process: { exitCode } }) => exitCode)).toEqual([0, 0, 0]);
});

test('a failure has its own words, and ends the group', async () => {
  const children = members(2);
  const { group } = await Group.of(children, { isPeer: false });
  await expect(group.ask({ do: 'fail' })).rejects.toThrow(/^no 1$/);
  await Promise.allSettled(children.map(({ ended }) => ended));
  expect(children.map(({ process: { signalCode } }) => signalCode)).toEqual(['SIGKILL', 'SIGKILL']);
  await group[Symbol.asyncDispose]();
});

test('a member that dies is named by the last line that it wrote', async () => {
  const { group } = await Group.of(members(2), { isPeer: true });
  await expect(group.ask({ do: 'die' })).rejects.toThrow(/ended with code 3: last words$/);
  const dead = members(1, "console.error('cannot join'); process.exit(1)");
  await expect(Group.of(dead, { isPeer: true })).rejects.toThrow(/code 1: cannot join$/);
});

test("the peer's processes rest while they are not asked, and are killed at the end", async () => {
  const children = members(2);
  const { group } = await Group.of(children, { isPeer: true });
  const isStopped = (child: Child): boolean =>
    /\) [Tt] /.test(readFileSync(`/proc/${child.process.pid}/stat`, 'utf8'));
  const areStopped = (): boolean => process.platform !== 'linux' || children.every(isStopped);
  await until(areStopped);
  expect(await group.ask({ do: 'steps' })).toHaveLength(1);
  await until(areStopped);
  await group[Symbol.asyncDispose]();
  await Promise.allSettled(children.map(({ ended }) => ended));
  expect(children.map(({ process: { signalCode } }) => signalCode)).toEqual(['SIGKILL', 'SIGKILL']);
});
