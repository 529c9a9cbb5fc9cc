import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { keys } from '../../shared/names.ts';
import { moveLockElsewhere, putBackLock } from '../fault/support/publisher/publishers.ts';
import { type ServedConsole, serveConsole } from '../support/console/served-console.ts';
import { BUCKET, ENV, type Fleet, startFleet } from '../support/fleet/fleet.ts';
import { openSetup, type Setup } from '../support/fleet/setup.ts';
import { deploymentIn, storedText } from '../support/publisher/announcements.ts';

/** A console that drives a rollout is killed; another one says so, and continues it. */

const SERVICE = 'payments';

let fleet: Fleet;
let setup: Setup;
let version = 1;

beforeAll(async () => {
  fleet = await startFleet();
  setup = await openSetup(fleet);
  for (const id of ['i-0a1', 'i-0b2', 'i-0c3']) await fleet.addInstance(id);
  await setup.deployed(SERVICE, '1.0.0');
});
afterAll(async () => {
  setup?.close();
  await fleet?.stop();
});

interface RecordNow {
  status: string;
  resumedBy?: string;
  resumedVia?: string;
  rolling?: {
    preparedAt?: string;
    awaitingSince?: string;
    waves: { announcedAt?: string; passedAt?: string }[];
  };
}

function recordOf(id: string): RecordNow | undefined {
  const key = keys.deployment(ENV, SERVICE, id);
  const isThere = fleet.cloud.objects(BUCKET, key).length > 0;
  return isThere ? deploymentIn<RecordNow>(storedText(fleet, key)) : undefined;
}

async function run(at: ServedConsole, id: string, ...argv: string[]) {
  return await at.post('/api/run', { argv: [...argv, `--env=${ENV}`], run: `killed-0000-0000-${id}` });
}

/** A rollout of a new version that `at` drives, and its id. */
async function begun(at: ServedConsole, ...options: string[]): Promise<string> {
  version += 1;
  await setup.pushed(SERVICE, `1.0.${version}`);
  const answer = await run(at, `r${version}`, SERVICE, `1.0.${version}`, ...options);
  expect(answer.status, answer.text).toBe(202);
  return (answer.json.run as { deployment: string }).deployment;
}

const waves = (id: string) => recordOf(id)?.rolling?.waves ?? [];
const WAVES = ['--canary=1', '--batch=1', '--pause-between=2s'];
const GATE = ['--canary=1', '--batch=1', '--confirm'];
const POINTS: readonly [string, readonly string[], (id: string) => boolean][] = [
  ['while all prepare', WAVES, (id) => recordOf(id) !== undefined],
  ['within the canary', WAVES, (id) => waves(id)[0]?.announcedAt !== undefined],
  ['at the gate', GATE, (id) => recordOf(id)?.rolling?.awaitingSince !== undefined],
  ['within a batch', WAVES, (id) => waves(id)[1]?.announcedAt !== undefined],
  ['when the last wave is out', WAVES, (id) => waves(id)[2]?.announcedAt !== undefined],
];

test.each(POINTS)(
  'killed %s: another console says so, and of two that resume one drives',
  async (...point) => {
    const [, options, isThere] = point;
    const [first, second, third] = await Promise.all([0, 1, 2].map(() => serveConsole(fleet)));
    if (!first || !second || !third) throw new Error('no console');
    const id = await begun(first, ...options);
    const stream = await second.open(`about=deployment&env=${ENV}&service=${SERVICE}&deployment=${id}`);
    await stream.message('deployment');
    await expect.poll(() => isThere(id), { interval: 20 }).toBe(true);
    first.program.process.kill('SIGKILL');
    await first.program.finished;
    const said = () => stream.messages.findLast((one) => 'driver' in one || 'view' in one);
    const stale = { driver: { state: 'stale', beatAt: expect.any(Number) }, underWay: { resumable: true } };
    await expect.poll(said).toMatchObject(stale);
    const resumed = await Promise.all([second, third].map((one) => run(one, 'again', 'resume', id)));
    expect(resumed.map(({ status }) => status).sort()).toEqual([202, 409]);
    if (options === GATE) expect((await run(second, 'yes', 'confirm', id)).status).toBe(200);
    await expect.poll(() => recordOf(id)?.status, { timeout: 60_000 }).toBe('succeeded');
    await expect
      .poll(() =>
        stream.messages.some((one) => one.type === 'deployment' && one.view.record.status === 'succeeded'),
      )
      .toBe(true);
    for (const one of [second, third]) one.program.process.kill('SIGTERM');
    await Promise.all([second.program.finished, third.program.finished]);
  },
);

test('with resume: true another console continues it by itself, once the lock is stale', async () => {
  const file = join(fleet.publisherDir, 'trigger-deploy.yaml');
  const config = await readFile(file, 'utf8');
  await writeFile(file, stringify({ ...parse(config), console: { resume: true } }));
  const [driver, other] = await Promise.all([serveConsole(fleet), serveConsole(fleet)]);
  const id = await begun(driver, ...WAVES);
  await expect.poll(() => fleet.cloud.objects(BUCKET, keys.pulse(ENV, SERVICE, id))).toHaveLength(1);
  driver.program.process.kill('SIGKILL');
  await driver.program.finished;
  moveLockElsewhere(fleet, SERVICE);
  putBackLock(fleet, SERVICE, 61_000);
  await expect.poll(() => recordOf(id)?.status, { timeout: 90_000 }).toBe('succeeded');
  expect(recordOf(id)).toMatchObject({
    resumedBy: expect.stringMatching(/^console@/),
    resumedVia: expect.any(String),
  });
  other.program.process.kill('SIGTERM');
  await other.program.finished;
  await writeFile(file, config);
});
