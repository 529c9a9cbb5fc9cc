import { afterAll, beforeAll, expect, test } from 'vitest';
import { mapLimit } from '../../publisher/record/map-limit.ts';
import { type Fleet, startFleet } from '../support/fleet/fleet.ts';
import { openSetup } from '../support/fleet/setup.ts';
import { proved } from '../support/reliability.ts';
import { addServices, type Service } from './support/fleet/services.ts';
import { runStory, type StoryResult, sequencesOf } from './support/publisher/killed-publisher.ts';
import { tapTopic } from './support/publisher/publishers.ts';
import { type RecordWatch, watchRecord } from './support/publisher/record-watch.ts';

/**
 * A real publisher is killed at each of its writes while it rolls 1.1.0 back to 1.0.0, where 0.9.0 ran before that. A
 * rollback that is repeated because its end is unknown means 1.0.0, not one version further back.
 */

const again = { next: ['rollback', 'SERVICE'], version: '1.0.0' };
const further = { next: ['rollback', 'SERVICE'], version: '0.9.0' };
/** The reply queue is deleted while the outcome is written: which of the two is first is open. */
const byOutcome = {
  next: ['rollback', 'SERVICE'],
  version: (isSettled: boolean) => (isSettled ? '0.9.0' : '1.0.0'),
};
const forward = { next: ['SERVICE', '1.1.0'], version: '1.1.0' };

const POINTS = [
  ['the lock', again],
  ['the queue for what the instances run', again],
  ['the question what they run', again],
  ['the end of that queue', again],
  ['the record of the rollback', again],
  ['the list of changes', again],
  ['the desired state', again],
  ['its reply queue', forward],
  ['the announcement', again],
  ['the end of its reply queue', byOutcome],
  ['the outcome', further],
  ['the release of the lock', further],
] as const;
const AT_ONCE = 4;

let fleet: Fleet;
let watch: RecordWatch;
let services: Service[];
const results = new Map<string, StoryResult | Error>();

beforeAll(async () => {
  fleet = await startFleet();
  watch = watchRecord(fleet.cloud);
  await tapTopic(fleet);
  const wanted = Object.fromEntries(POINTS.map((_, index) => [`service-${index}`, { watch: '0s' }]));
  services = Object.values(await addServices(fleet, 'i-0a1', wanted));
  const setup = await openSetup(fleet);
  await mapLimit([...POINTS.entries()], AT_ONCE, async ([index, [point, after]]) => {
    const service = services[index] as Service;
    for (const version of ['0.9.0', '1.0.0', '1.1.0']) await setup.deployed(service.name, version);
    const story = { typed: ['rollback', 'SERVICE'], ...after };
    results.set(point, await runStory(service, watch, index + 1, story).catch((error) => error));
  });
  setup.close();
}, 600_000);
afterAll(() => fleet?.stop());

function resultOf(point: string): StoryResult {
  const one = results.get(point);
  if (one === undefined || one instanceof Error) throw one ?? new Error(`never killed at ${point}`);
  return one;
}

test.each(POINTS)(
  'killed once it wrote %s, it leaves a true record, and the next comes to a good end',
  (point) => {
    expect(resultOf(point).dead.finished.code).toBeNull();
  },
);

test('a rollback that died before it wrote the desired state is not said to have written it', () => {
  const { said } = resultOf('the record of the rollback');
  expect(said).toMatch(
    /rollback \S+ of 1\.0\.0 was not settled by its publisher: no instance answered.*; the desired state stays 1\.1\.0/,
  );
});

test.each(['the record of the rollback', 'the desired state', 'the announcement'])(
  'a rollback that died after %s is repeated, which is said, and not gone on from',
  (point) => {
    const { said } = resultOf(point);
    expect(said).toMatch(
      /the publisher of the last rollback \(to 1\.0\.0, \S+\) stopped before it ended, so this command repeats that rollback/,
    );
  },
);

test('with all of them the locks are free, all that was announced has one end, and no sequence was used twice', () => {
  const used = sequencesOf(services, watch);
  expect(used).toBeGreaterThan(4 * POINTS.length);
  proved('publisher-killed', `rollback: killed at ${POINTS.length} writes, ${used} sequences, none twice`);
});
