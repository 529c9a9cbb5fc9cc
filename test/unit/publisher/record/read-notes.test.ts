import { expect, it } from 'vitest';
import { createReadNotes } from '../../../../publisher/record/read-notes.ts';

/** Notes on a clock of their own; `read` is one request that takes `ms`. */
function start() {
  const said: string[] = [];
  let time = 0;
  const notes = createReadNotes(
    'acme',
    (text) => said.push(text),
    () => time,
  );
  const read = (key: string, { ms, objects = 1 }: { ms: number; objects?: number }) => {
    const end = notes.begin(objects === 1 ? 'reading' : 'listing', key);
    time += ms;
    end(objects);
  };
  const pause = (ms: number) => {
    time += ms;
  };
  return { said, read, pause };
}
const INSTANCE = 'state/dev/app/instances/AROA:i-1.json';

it('many reads that take long are told after a second, then every five', () => {
  const { said, read } = start();
  for (let n = 0; n < 12_000; n += 1) read(INSTANCE, { ms: 1 });
  expect(said).toEqual([
    'reading s3://acme/state/dev/app/instances/: 1000 objects so far',
    'reading s3://acme/state/dev/app/instances/: 6000 objects so far',
    'reading s3://acme/state/dev/app/instances/: 11000 objects so far',
  ]);
});

it('the pages of a list count with their keys', () => {
  const { said, read } = start();
  for (let n = 0; n < 20; n += 1) read('artifacts/app/', { ms: 100, objects: 1000 });
  expect(said).toEqual(['listing s3://acme/artifacts/app/: 10000 objects so far']);
});

it('few reads, and reads with time between them, are not told', () => {
  const { said, read, pause } = start();
  for (let n = 0; n < 99; n += 1) read(INSTANCE, { ms: 100 });
  for (let n = 0; n < 1000; n += 1) {
    pause(3000);
    for (let m = 0; m < 200; m += 1) read(INSTANCE, { ms: 4 });
  }
  expect(said).toEqual([]);
});
