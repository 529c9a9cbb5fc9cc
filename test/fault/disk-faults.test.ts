import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { formatLine, inPlaceWrites, lastState } from '../../agent/host/state/journal-lines.ts';
import { proved } from '../support/reliability.ts';
import type { LimitedOutcome } from './support/disk/limited-driver.ts';
import { quickDirectory } from './support/disk/recording.ts';
import { numberOf, stateOf } from './support/disk/world.ts';

/** What of a full disk can be had without being root; the rest is in disk-faults*.long.test.ts. */

const DRIVER = fileURLToPath(new URL('support/disk/limited-driver.ts', import.meta.url));
/** In blocks of 512 bytes. */
const LIMIT = 16;

/** No file may become larger than 8 KiB. */
async function runLimited(): Promise<LimitedOutcome> {
  const script = `ulimit -f ${LIMIT} && exec "$@"`;
  const argv = ['-c', script, 'sh', process.execPath, DRIVER, await quickDirectory()];
  const { stdout } = await promisify(execFile)('sh', argv, { env: { ...process.env, NODE_OPTIONS: '' } });
  return JSON.parse(stdout) as LimitedOutcome;
}

test('a write that fails in its middle costs the journal no state', async () => {
  const { appends } = await runLimited();
  let promised = 0;
  for (const [index, { refused, loaded }] of appends.entries()) {
    if (!refused) promised = index + 1;
    expect(loaded, `append ${index + 1}`).toBe(promised);
  }
  const refusals = appends.filter(({ refused }) => refused).length;
  expect(refusals).toBeGreaterThan(3);
  // Each time the next append began a new file.
  expect(appends.filter(({ refused }, n) => refused && appends[n + 1]?.refused)).toEqual([]);
  proved('disk-full', `journal: ${refusals} of ${appends.length} appends failed in mid-write, no state lost`);
});

test('a write that fails in its middle leaves nothing of the new version, and all of the old one', async () => {
  const { refusal, ...rest } = await runLimited();
  expect(refusal).toContain('EFBIG');
  expect(rest).toMatchObject({ current: '1', releases: ['1'], staging: [] });
  proved('disk-full', 'jar: a download that could not be written, nothing left behind');
});

const parse = (value: unknown) => value as ReturnType<typeof stateOf>;
const numberIn = (journal: Buffer) => numberOf(lastState(journal, parse).state);
const journalOf = (...sizes: number[]) =>
  sizes.map((size, index) => formatLine(stateOf(index + 1, size))).join('');

test.each([
  { where: 'over older lines', journal: journalOf(400, 300, 100, 200), next: 250, steps: 2 },
  {
    where: 'over what a failed append left',
    journal: `${journalOf(100)}${'x'.repeat(900)}`,
    next: 100,
    steps: 1,
  },
  {
    where: 'over the spare room of a compacted journal',
    journal: '\n'.repeat(900) + journalOf(100),
    next: 300,
    steps: 2,
  },
])(
  'a line squeezed in $where is the last one or the one before is, however little was written',
  ({ journal, next, steps }) => {
    const before = Buffer.from(journal);
    const old = numberIn(before);
    const overwrites = inPlaceWrites(before, formatLine(stateOf(99, next))) ?? [];
    expect(overwrites).toHaveLength(steps);
    let states = 0;
    const now = Buffer.from(before);
    for (const { at, bytes } of overwrites) {
      for (let count = 0; count <= bytes.length; count += 1) {
        // A disk writes its blocks in any order: the beginning, or only the end.
        for (const [from, to] of [
          [0, count],
          [bytes.length - count, bytes.length],
        ] as const) {
          const torn = Buffer.from(now);
          bytes.copy(torn, at + from, from, to);
          expect([old, 99]).toContain(numberIn(torn));
          states += 1;
        }
      }
      bytes.copy(now, at);
    }
    expect(now.length).toBe(before.length);
    expect(lastState(now, parse)).toEqual({ state: stateOf(99, next), bad: false });
    proved('power-loss', `journal on a full disk: ${states} half-made writes`);
  },
);

test('a line is not squeezed in where there is no room but that of the last one', () => {
  const journal = Buffer.from(journalOf(50, 400));
  expect(inPlaceWrites(journal, formatLine(stateOf(9, 200)))).toBeUndefined();
  expect(inPlaceWrites(Buffer.from('garbage\n'), formatLine(stateOf(9)))).toBeUndefined();
  expect(inPlaceWrites(Buffer.alloc(0), formatLine(stateOf(9)))).toBeUndefined();
});
