import { appendFile, open, readdir, readFile, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { initialState, type ServiceState, serviceState } from '../../../../../agent/deploy/state.ts';
import { createJournal, readJournal } from '../../../../../agent/host/state/journal.ts';
import { namesBelow, temporaryDirectory } from '../../../../support/host/temporary.ts';
import { proved } from '../../../../support/reliability.ts';

const parse = (value: unknown) => serviceState.parse(value);
const ULID = '01JDB200000000000000000000';
const stateAt = (sequence: number): ServiceState => ({
  ...initialState('i-1', 'payments'),
  seen: { sequence, deployment: ULID },
});

async function journal() {
  const path = join(await temporaryDirectory(), 'payments.journal');
  return { path, open: () => createJournal({ path, parse }) };
}

/** Short states, because each of their bytes is tried: a journal accepts any state. */
const shortState = (n: number) => ({ n }) as unknown as ServiceState;
const anyState = (value: unknown) => value as ServiceState;

async function written(count: number, { make = stateAt, as = parse } = {}) {
  const { path } = await journal();
  const reopen = () => createJournal({ path, parse: as });
  const first = reopen();
  const ends: number[] = [];
  for (let n = 1; n <= count; n += 1) {
    await first.append(make(n));
    ends.push((await stat(path)).size);
  }
  return { path, reopen, ends, bytes: await readFile(path) };
}

test('without a file, no state is loaded', async () => {
  expect(await (await journal()).open().load()).toEqual({ state: undefined, quarantined: undefined });
});

test('an empty journal is reported until a state is appended', async () => {
  for (const content of ['', '\n', '\n'.repeat(5000)]) {
    const { path, open } = await journal();
    await writeFile(path, content);
    const log = open();
    for (let times = 0; times < 2; times += 1) {
      expect(await log.load()).toEqual({ state: undefined, quarantined: undefined, emptied: path });
    }
    await log.append(stateAt(1));
    expect(await open().load()).toEqual({ state: stateAt(1), quarantined: undefined });
  }
});

test('the last appended state is loaded, also by another journal', async () => {
  const { path, reopen } = await written(3);
  expect(await reopen().load()).toEqual({ state: stateAt(3), quarantined: undefined });
  expect(await readJournal({ path, parse })).toEqual(stateAt(3));
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test('concurrent appends are all written, in order', async () => {
  const { path, open: reopen } = await journal();
  const log = reopen();
  await Promise.all(Array.from({ length: 50 }, (_, n) => log.append(stateAt(n))));
  expect((await readFile(path, 'utf8')).trim().split('\n')).toHaveLength(50);
  expect((await reopen().load()).state).toEqual(stateAt(49));
});

test('truncated after any byte, the last complete record is loaded, and appends work', async () => {
  const { path, reopen, ends, bytes } = await written(3, { make: shortState, as: anyState });
  for (let length = 0; length <= bytes.length; length += 1) {
    await writeFile(path, bytes.subarray(0, length));
    // A record is complete without its newline.
    const complete = ends.filter((end) => end - 1 <= length).length;
    const log = reopen();
    const { state, quarantined } = await log.load();
    expect(state, `cut at ${length}`).toEqual(complete === 0 ? undefined : shortState(complete));
    expect(quarantined === undefined, `cut at ${length}`).toBe(length === 0 || ends.includes(length));
    await log.append(shortState(9));
    expect((await reopen().load()).state, `append after a cut at ${length}`).toEqual(shortState(9));
  }
});

test('one flipped bit damages only its own record', async () => {
  const { path, reopen, ends, bytes } = await written(3, { make: shortState, as: anyState });
  for (let at = 0; at < bytes.length; at += 1) {
    const flipped = Buffer.from(bytes);
    flipped.writeUInt8(flipped.readUInt8(at) ^ 0x01, at);
    await writeFile(path, flipped);
    const { state, quarantined } = await reopen().load();
    const hit = ends.findIndex((end) => at < end) + 1;
    // Without the newline between them, two records are one bad line.
    const lost = ends.includes(at + 1) ? [hit, hit + 1] : [hit];
    const last = [3, 2, 1].find((n) => !lost.includes(n));
    expect(state, `flipped at ${at}`).toEqual(last === undefined ? undefined : shortState(last));
    expect(quarantined, `flipped at ${at}`).toMatch(/\.corrupt-/);
  }
});

test('a damaged journal is copied beside it, and repaired', async () => {
  const { path, reopen } = await written(2);
  await appendFile(path, 'half a li');
  const { state, quarantined } = await reopen().load();
  expect(state).toEqual(stateAt(2));
  expect(await readFile(quarantined ?? '', 'utf8')).toMatch(/half a li$/);
  expect(await reopen().load()).toEqual({ state: stateAt(2), quarantined: undefined });
});

test('a record with a correct hash that is not a state is skipped', async () => {
  const { path, reopen } = await written(1);
  const strict = createJournal({
    path,
    parse: (value) => {
      const state = parse(value);
      if (state.seen?.sequence === 2) throw new Error('not in this version');
      return state;
    },
  });
  await reopen().append(stateAt(2));
  expect((await strict.load()).state).toBeUndefined();
});

test('an older state is loaded when the newest is not valid', async () => {
  const { path, open: reopen } = await journal();
  const log = reopen();
  await log.append(stateAt(1));
  await log.append({ ...stateAt(2), v: 2 } as unknown as ServiceState);
  const { state, quarantined } = await reopen().load();
  expect(state).toEqual(stateAt(1));
  expect(quarantined).toContain(path);
});

test('at most five quarantined copies are kept', async () => {
  const { path, reopen } = await written(1);
  for (let n = 0; n < 8; n += 1) {
    await appendFile(path, `garbage ${n}`);
    await reopen().load();
  }
  const copies = (await readdir(join(path, '..'))).filter((name) => name.includes('.corrupt-'));
  expect(copies.length).toBeGreaterThan(0);
  expect(copies.length).toBeLessThanOrEqual(5);
});

test('any bytes are loaded without an error', async () => {
  const { path, open: reopen } = await journal();
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (bytes) => {
      await writeFile(path, bytes);
      expect((await reopen().load()).state).toBeUndefined();
    }),
    { numRuns: 100 },
  );
});

test('a very large damaged file is loaded in bounded memory', async () => {
  const { path, reopen } = await written(1);
  const record = await readFile(path);
  await truncate(path, 8 * 1024 ** 3); // sparse
  const handle = await open(path, 'a');
  await handle.writeFile(Buffer.concat([Buffer.from('\n'), record]));
  await handle.close();
  const { state, quarantined } = await reopen().load();
  expect(state).toEqual(stateAt(1));
  expect((await stat(quarantined ?? '')).size).toBeLessThanOrEqual(4 * 1024 * 1024);
  expect((await stat(path)).size).toBe(record.length);
});

test('a long journal is compacted to its last record', async () => {
  const { path, open: reopen } = await journal();
  const log = reopen();
  const long = { ...stateAt(1), note: 'x'.repeat(50_000) };
  let largest = 0;
  for (let n = 0; n < 12; n += 1) {
    await log.append({ ...long, seen: { sequence: n, deployment: ULID } });
    largest = Math.max(largest, (await stat(path)).size);
  }
  expect(largest).toBeLessThan(300_000);
  expect((await reopen().load()).state?.seen?.sequence).toBe(11);
  expect(await namesBelow(join(path, '..'))).toEqual(['payments.journal']);
});

test('a journal is created with its directory, and never through a link', async () => {
  const directory = await temporaryDirectory();
  const log = createJournal({ path: join(directory, 'services', 'a.journal'), parse });
  await log.append(stateAt(1));
  expect(await namesBelow(directory)).toEqual(['services', 'services/a.journal']);
  await writeFile(join(directory, 'victim'), 'untouched');
  await symlink('victim', join(directory, 'b.journal'));
  await expect(createJournal({ path: join(directory, 'b.journal'), parse }).load()).rejects.toMatchObject({
    code: 'ELOOP',
  });
  expect(await readFile(join(directory, 'victim'), 'utf8')).toBe('untouched');
  proved('symlink', 'a link in place of the journal');
});
