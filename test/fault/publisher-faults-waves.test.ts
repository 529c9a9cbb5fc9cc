import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mapLimit } from '../../publisher/record/map-limit.ts';
import { keys } from '../../shared/names.ts';
import { instanceKey } from '../support/cloud/sqs.ts';
import { BUCKET, ENV, type Fleet, startFleet } from '../support/fleet/fleet.ts';
import { openSetup, type Setup } from '../support/fleet/setup.ts';
import type { Finished } from '../support/programs.ts';
import { deploymentIn, storedText } from '../support/publisher/announcements.ts';
import { proved } from '../support/reliability.ts';
import { addServices, type Service } from './support/fleet/services.ts';
import { ask, expectSettled } from './support/fleet/settled.ts';
import {
  announcements,
  comingLater,
  deadFor,
  killedOnce,
  startPublisher,
  tapTopic,
} from './support/publisher/publishers.ts';
import { type RecordWatch, watchRecord } from './support/publisher/record-watch.ts';

/**
 * A real publisher is killed while it rolls out over three instances, where 1.0.0 runs; another one, on another machine, goes on. Each point has a service of its own, and they are tried side by side.
 */

const NEW = '1.1.0';
const BAD = '1.2.0';
const GATE = ['--canary', '1', '--batch', '1', '--confirm'];
const WAVES = ['--canary', '1', '--batch', '1', '--pause-between', '3s'];

interface Point {
  title: string;
  version: string;
  flags: readonly string[];
  /** When it is killed; `before` is how many deployments were announced until then. */
  when: (service: string, before: number) => boolean;
  /** Where it must end, and the exit code of the publisher that resumes it. */
  ends: { version: string; code: number };
}

const announced = (service: string, kind: string) => announcements(fleet, service, kind).length;
const succeeds = { version: NEW, code: 0 };
const POINTS: readonly Point[] = [
  {
    ...{ title: 'while all prepare', version: NEW, flags: WAVES, ends: succeeds },
    when: (service) => announced(service, 'prepare') > 0,
  },
  {
    ...{ title: 'within the canary', version: NEW, flags: WAVES, ends: succeeds },
    when: (service, before) => announced(service, 'deploy') > before,
  },
  {
    ...{ title: 'between two waves', version: NEW, flags: WAVES, ends: succeeds },
    when: (service) => recordOf(service)?.rolling?.waves[0]?.passedAt !== undefined,
  },
  {
    ...{ title: 'within a batch', version: NEW, flags: WAVES, ends: succeeds },
    when: (service, before) => announced(service, 'deploy') > before + 1,
  },
  {
    ...{ title: 'at the gate', version: NEW, flags: GATE, ends: succeeds },
    when: (service) => recordOf(service)?.rolling?.awaitingSince !== undefined,
  },
  {
    ...{ title: 'within the canary of a bad version', version: BAD, flags: WAVES },
    when: (service, before) => announced(service, 'deploy') > before,
    ends: { version: '1.0.0', code: 1 },
  },
];
const AT_ONCE = 6;
const INSTANCES = ['i-0a1', 'i-0b2', 'i-0c3'];

interface Story {
  deployment: string;
  killed: Finished;
  watched: Finished;
  resumed: Finished;
}

let fleet: Fleet;
let watch: RecordWatch;
let setup: Setup;
/** By the point's place, then by instance. */
let services: Service[][];
const stories: (Story | Error)[] = [];
/** What each service ever answered, from the moment its publisher was started. */
const ran = new Map<Service, Set<string>>();
const over = new AbortController();

interface RecordNow {
  deployment: string;
  status: string;
  rolling?: { waves: { instances: string[]; passedAt?: string }[]; awaitingSince?: string };
}

/** The newest deployment's record, as far as it is looked at here. */
function recordOf(service: string): RecordNow | undefined {
  const { cloud } = fleet;
  const written = cloud
    .objects(BUCKET, keys.deployments(ENV, service))
    .filter((key) => key.endsWith('/deployment.jws'));
  return written
    .map((key) => deploymentIn<RecordNow>(storedText(fleet, key)))
    .findLast(({ rolling }) => rolling !== undefined);
}

/** A home and working directory of its own, with nothing but the config. */
async function elsewhere(name: string): Promise<string> {
  const dir = join(fleet.dir, name);
  await mkdir(dir);
  await copyFile(join(fleet.publisherDir, 'trigger-deploy.yaml'), join(dir, 'trigger-deploy.yaml'));
  return dir;
}

async function lookAt(service: Service): Promise<void> {
  const seen = new Set<string>();
  ran.set(service, seen);
  while (!over.signal.aborted) {
    const answer = await ask(service);
    if (answer) seen.add(answer.version);
    await sleep(400, undefined, { signal: over.signal }).catch(() => undefined);
  }
}

async function runStory(index: number, { version, flags, when, title }: Point): Promise<Story> {
  const [{ name } = { name: '' }] = services[index] ?? [];
  // It must roll back to 1.0.0, not to the version before that.
  if (version === BAD) await setup.deployed(name, '0.9.0');
  await setup.deployed(name, '1.0.0');
  await setup.pushed(name, version, version === BAD ? { healthStatus: 500 } : {});
  for (const service of services[index] ?? []) void lookAt(service);
  const before = announced(name, 'deploy');
  const killed = await killedOnce(fleet, [name, version, ...flags], () => when(name, before));
  const { deployment = '' } = recordOf(name) ?? {};
  const dir = await elsewhere(`machine-${index}`);
  const watching = startPublisher(fleet, ['watch', deployment], { elsewhere: dir });
  const watched = await deadFor(fleet, name, 2 * 61_000, watching.finished);
  if (title === 'at the gate') {
    await startPublisher(fleet, ['confirm', deployment], { elsewhere: dir }).finished;
  }
  const resumed = await comingLater(fleet, name, ['resume', deployment], { elsewhere: dir });
  return { deployment, killed, watched, resumed };
}

beforeAll(async () => {
  fleet = await startFleet();
  watch = watchRecord(fleet.cloud);
  await tapTopic(fleet);
  const wanted = Object.fromEntries(POINTS.map((_, index) => [`service-${index}`, { watch: '0s' }]));
  const all = await Promise.all(INSTANCES.map((id) => addServices(fleet, id, wanted)));
  services = POINTS.map((_, index) => all.map((one) => one[`service-${index}`] as Service));
  setup = await openSetup(fleet);
  await mapLimit([...POINTS.entries()], AT_ONCE, async ([index, point]) => {
    stories[index] = await runStory(index, point).catch((error) => error);
  });
}, 600_000);
afterAll(async () => {
  over.abort();
  setup?.close();
  await fleet?.stop();
});

function storyOf(title: string): Story & { point: Point; at: Service[] } {
  const index = POINTS.findIndex((point) => point.title === title);
  const story = stories[index];
  if (story === undefined || story instanceof Error) throw story ?? new Error(`never killed ${title}`);
  return { ...story, point: POINTS[index] as Point, at: services[index] as Service[] };
}

test.each(POINTS.map(({ title }) => title))(
  'killed %s, a watch says how to continue, and resume on another machine ends it',
  async (title) => {
    const { deployment, killed, watched, resumed, point, at } = storyOf(title);
    expect(killed.code, killed.stdout).toBeNull();
    expect(watched, watched.stdout + watched.stderr).toMatchObject({ code: 3 });
    expect(watched.stdout).toContain(
      `not settled; to continue: trigger-deploy resume ${deployment} --env dev`,
    );
    expect(resumed.code, resumed.stdout + resumed.stderr).toBe(point.ends.code);
    const { version } = point.ends;
    for (const service of at) await expectSettled(service, { version, watch });
    expect(watch.desired.get(at[0]?.name ?? '')?.at(-1)).toMatchObject({ version });
    const status = point.ends.code === 0 ? 'succeeded' : 'failed';
    expect(recordOf(at[0]?.name ?? '')).toMatchObject({ deployment, status });
    for (const service of at) {
      const seen = [...(ran.get(service) ?? [])];
      expect(seen.filter((one) => one !== '1.0.0' && one !== point.version)).toEqual([]);
    }
  },
);

test('a bad version reached its canary only, however many publishers drove it', () => {
  const { at } = storyOf('within the canary of a bad version');
  expect(at.filter((service) => ran.get(service)?.has(BAD)).length).toBeLessThanOrEqual(1);
  const done = POINTS.length;
  proved(
    'publisher-killed',
    `in waves: killed at ${done} points of a rollout, resumed elsewhere, one version each`,
  );
});

test('in mid-rollout a canary’s restarted agent stays on the new version, and a new instance comes up on the old one until it is over', async () => {
  const { at } = storyOf('while all prepare');
  const { name } = at[0] as Service;
  await setup.pushed(name, '1.3.0');
  const deploying = startPublisher(fleet, [name, '1.3.0', ...GATE]);
  await deploying.line((line) => line.includes('waiting for confirmation'));
  const [canaryId] = recordOf(name)?.rolling?.waves[0]?.instances ?? [];
  const canary = at.find(({ instance }) => instance.id === canaryId) as Service;
  const before = await ask(canary);
  expect(before?.version).toBe('1.3.0');

  await fleet.stopAgent(canary.instance, 'SIGKILL');
  const since = fleet.cloud.requests.length;
  const [late] = await Promise.all([
    addServices(fleet, 'i-0d4', { [name]: { watch: '0s' } }),
    fleet.startAgent(canary.instance),
  ]);
  await fleet.cloud.until(
    (request) =>
      fleet.cloud.requests.indexOf(request) >= since &&
      request.accessKeyId === instanceKey(canary.instance.id) &&
      request.key === keys.desired(ENV, name) &&
      request.status !== undefined,
  );
  const newcomer = late[name] as Service;
  await expect.poll(async () => (await ask(newcomer))?.version).toBe(NEW);
  expect(await ask(canary)).toEqual(before);

  const { deployment = '' } = recordOf(name) ?? {};
  const confirmed = await startPublisher(fleet, ['confirm', deployment]).finished;
  expect(confirmed, confirmed.stderr).toMatchObject({ code: 0 });
  const finished = await deploying.finished;
  expect(finished, finished.stdout).toMatchObject({ code: 0 });
  for (const service of [...at, newcomer]) {
    await expect.poll(async () => (await ask(service))?.version).toBe('1.3.0');
  }
  expect((await ask(canary))?.pid).toBe(before?.pid);
});
