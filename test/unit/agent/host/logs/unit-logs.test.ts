import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { entryOf } from '../../../../../agent/host/logs/journal-text.ts';
import { worldWith } from '../../../../support/agent/logs-fixture.ts';
import { calm } from '../../../../support/host/clock.ts';
import { programsOnPath, temporaryDirectory } from '../../../../support/host/temporary.ts';

/** The journal of a unit, which a stand-in of journalctl reads from a file, as journalctl(1) says. */

/** Entries after the cursor of the option, of all if there is none. */
const JOURNALCTL = (directory: string) => `
echo "$@" >>${directory}/calls
for argument; do case "$argument" in --after-cursor=*) after="\${argument#--after-cursor=}";; esac; done
if [ -z "$after" ]; then exec cat ${directory}/journal; fi
awk -v after="$after" 'found { print } index($0, "\\"__CURSOR\\":\\"" after "\\"") { found = 1 }' ${directory}/journal`;

async function journalOf(count: number, options = {}) {
  const directory = await temporaryDirectory();
  await programsOnPath({ journalctl: JOURNALCTL(directory) });
  const world = await worldWith({}, { unit: 'payments.service', ...options });
  const write = (to: number) =>
    writeFile(
      join(directory, 'journal'),
      Array.from({ length: to }, (_, i) => `${JSON.stringify(entry(i))}\n`).join(''),
    );
  await write(count);
  const calls = async () => (await readFile(join(directory, 'calls'), 'utf8')).trim().split('\n');
  return { ...world, write, calls };
}

const entry = (i: number) => ({
  __CURSOR: `s=1;i=${i}`,
  __REALTIME_TIMESTAMP: String(1_790_000_000_000_000 + i * 1500),
  MESSAGE: `message ${i}`,
  SYSLOG_IDENTIFIER: 'payments',
  _PID: '4711',
});
const textOf = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => entryOf(JSON.stringify(entry(from + i)))?.text).join('');

describe('the journal of a unit', () => {
  test('is uploaded as text, and goes on after the last entry, also by another agent', async () => {
    const { ship, write, world, calls } = await journalOf(3);
    expect(await ship()).toEqual([textOf(0, 3)]);
    expect(textOf(0, 1)).toBe('2026-09-21T14:13:20.000000Z payments[4711]: message 0\n');
    await write(5);
    await world.start();
    expect(await ship()).toEqual([textOf(0, 5)]);
    expect(await ship()).toEqual([textOf(0, 5)]);
    expect((await calls())[0]).toBe(
      '-u payments.service -o json --all --no-pager -q --output-fields=MESSAGE,SYSLOG_IDENTIFIER,_PID',
    );
    expect((await calls()).at(-1)).toMatch(/ --after-cursor=s=1;i=4$/);
  });

  test('is uploaded in parts', async () => {
    const { ship, bucket } = await journalOf(500, { partBytes: 1000 });
    expect(await ship()).toEqual([textOf(0, 500)]);
    expect(bucket.objects.size).toBeGreaterThan(20);
  });

  test.each(['before', 'after'] as const)(
    'whose upload was killed %s it was stored is uploaded once',
    async (when) => {
      const { ship, bucket, world, write } = await journalOf(50);
      bucket[when] = () => {
        throw new Error('killed');
      };
      await expect(ship()).rejects.toThrow('killed');
      bucket[when] = () => {};
      await write(90);
      await world.start();
      expect(await ship()).toEqual([textOf(0, 90)]);
      expect(bucket.objects.size).toBe(2);
    },
  );

  test('is a part of the last logs', async () => {
    const { world, bucket } = await journalOf(20);
    await (await world.start()).shipLogs(calm, 60_000);
    expect(bucket.logs()).toEqual([textOf(0, 20)]);
  });

  test('that cannot be read is said once, and the files are uploaded', async () => {
    const { ship, at, warnings } = await journalOf(1);
    process.env.PATH = await temporaryDirectory();
    await writeFile(at('app.log'), 'a line\n');
    await ship();
    expect(await ship()).toEqual(['a line\n']);
    expect(warnings).toEqual(['the journal of payments.service cannot be read']);
  });
});

describe('an entry', () => {
  const text = (more: object) => entryOf(JSON.stringify({ ...entry(0), ...more }))?.text.slice(28);

  test.each([
    ['of several lines', { MESSAGE: 'a\nb' }, 'payments[4711]: a\n    b\n'],
    ['of bytes', { MESSAGE: [104, 105] }, 'payments[4711]: hi\n'],
    ['of repeated fields', { MESSAGE: ['a', 'b'] }, 'payments[4711]: a b\n'],
    ['without a message', { MESSAGE: null }, 'payments[4711]: \n'],
    ['of systemd', { SYSLOG_IDENTIFIER: 'systemd', _PID: undefined }, 'systemd: message 0\n'],
  ])('%s is a line', (_, more, line) => {
    expect(text(more)).toBe(line);
  });

  test.each(['', 'no JSON', '{}', '{"__CURSOR":1}', '[]'])('%j is none', (line) => {
    expect(entryOf(line)).toBeUndefined();
  });
});
