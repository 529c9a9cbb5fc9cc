import { afterAll, beforeAll, expect, test } from 'vitest';
import { mapLimit } from '../../publisher/record/map-limit.ts';
import { type Fleet, startFleet } from '../support/fleet/fleet.ts';
import { openSetup } from '../support/fleet/setup.ts';
import { proved } from '../support/reliability.ts';
import { addServices, type Service } from './support/fleet/services.ts';
import { runStory, type StoryResult, sequencesOf, takingOver } from './support/publisher/killed-publisher.ts';
import { tapTopic } from './support/publisher/publishers.ts';
import { type RecordWatch, watchRecord } from './support/publisher/record-watch.ts';

/**
 * A real publisher is killed at each of its writes while it deploys 1.1.0 over 1.0.0, and another comes. Between two
 * writes nothing changes but what the agents do. Each point has a service of its own, and they are tried side by side.
 */

const again = { next: ['SERVICE', '1.1.0'], version: '1.1.0' };
const watched = { next: ['watch', 'ID'], version: '1.1.0' };
const back = { next: ['rollback', 'SERVICE'], version: '1.0.0' };

/** What the next one types, by the write at which the one before was killed. */
const POINTS = [
  ['the lock', again],
  ['the record of the deployment', back],
  ['its reply queue', again],
  ['the announcement', watched],
  ['the end of its reply queue', back],
  ['the list of changes', watched],
  ['the desired state', back],
  ['the announcement of the desired state', watched],
  ['the outcome', again],
  ['the release of the lock', back],
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
    await setup.deployed(service.name, '1.0.0');
    await setup.pushed(service.name, '1.1.0');
    const story = { typed: ['SERVICE', '1.1.0'], ...after };
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

test('a publisher that takes over the lock of a dead one names its owner, its deployment and its start time', () => {
  for (const [point] of POINTS.slice(0, 7)) {
    const { owner, said } = resultOf(point);
    if (owner) expect(said).toContain(takingOver(owner, 'no heartbeat for 2 min'));
  }
  expect(resultOf('the announcement').owner).not.toBeNull();
});

test('what a dead publisher left unsettled is settled by the next one, which says what became of it', () => {
  expect(resultOf('the record of the deployment').said).toMatch(
    /of 1\.1\.0 was not settled by its publisher: no instance answered/,
  );
  expect(resultOf('the desired state').said).toMatch(
    /of 1\.1\.0 was not settled by its publisher: 1 of 1 succeeded; the desired state is 1\.1\.0/,
  );
});

test('with all of them the locks are free, all that was announced has one end, and no sequence was used twice', () => {
  const used = sequencesOf(services, watch);
  expect(used).toBeGreaterThan(2 * POINTS.length);
  proved('publisher-killed', `deploy: killed at ${POINTS.length} writes, ${used} sequences, none twice`);
});
