import { afterAll, beforeAll, expect, test } from 'vitest';
import { DAY } from '../support/part-of-today.ts';
import { proved } from '../support/reliability.ts';
import { combinations, titleOf } from './support/bucket/combinations.ts';
import { play } from './support/bucket/play.ts';
import { type BucketWorld, openBucketWorld, SERVICE, VERSIONS } from './support/bucket/world.ts';

/**
 * A person who may write to the bucket, against a real publisher and real agents. Each day another part is played;
 * `HOSTILE_PART=3/80` plays that part, and `HOSTILE_PART=1/1` all of them, in about two hours.
 */

const PARTS = 90;
const [PART, OF] = (process.env.HOSTILE_PART ?? `${DAY % PARTS}/${PARTS}`).split('/').map(Number) as [
  number,
  number,
];
const ALL = combinations();
const MINE = ALL.filter((_, index) => index % OF === PART % OF);

let world: BucketWorld;
beforeAll(async () => {
  world = await openBucketWorld();
  const first = await world.command([SERVICE, VERSIONS[0], '--env', 'dev', '--timeout', '60s']);
  expect(await first.ended).toMatchObject({ code: 0 });
});
afterAll(() => world?.close());

test('no combination of replaced objects runs what nobody signed, opens a gate, or leaves a service that cannot be deployed', {
  timeout: MINE.length * 90_000,
}, async () => {
  expect(ALL.length).toBeGreaterThanOrEqual(2000);
  let changed = 0;
  for (const one of MINE) {
    const began = performance.now();
    const played = await play(world, one).catch((cause: unknown) => {
      throw new Error(titleOf(one), { cause });
    });
    if (played.changed) changed += 1;
    if (process.env.HOSTILE_PART !== undefined) {
      process.stdout.write(`${Math.round(performance.now() - began)} ms ${titleOf(one)}: ${played.ended}\n`);
    }
  }
  expect(changed).toBeGreaterThan(MINE.length / 2);
  proved('hostile-bucket', `${MINE.length} of ${ALL.length} combinations, another part each day`);
});
