import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { mapLimit } from '../../publisher/record/map-limit.ts';
import type { LogEntry } from '../support/fleet/agent-log.ts';
import { type Fleet, startFleet } from '../support/fleet/fleet.ts';
import { openSetup, type Setup } from '../support/fleet/setup.ts';
import { proved } from '../support/reliability.ts';
import { addServices, attempt, deploy, type Service } from './support/fleet/services.ts';
import { ask, expectSettled } from './support/fleet/settled.ts';
import { type RecordWatch, watchRecord } from './support/publisher/record-watch.ts';

/** Where nothing runs any more, not even what ran before; and a version that failed and is deployed again. */

const NAMES = ['left-alone', 'undone', 'retried'] as const;

// On a machine that does much else, patience and no assertion.
vi.setConfig({ testTimeout: 240_000 });

let fleet: Fleet;
let watch: RecordWatch;
let setup: Setup;
let services: Record<(typeof NAMES)[number], Service>;

beforeAll(async () => {
  fleet = await startFleet();
  watch = watchRecord(fleet.cloud);
  const settings = { manager: { startTimeout: '10s' }, check: { deadline: '10s' } };
  services = await addServices(fleet, 'i-0a1', {
    'left-alone': settings,
    undone: settings,
    retried: settings,
  });
  setup = await openSetup(fleet);
  await mapLimit(NAMES, 3, async (name) => {
    const service = services[name];
    await mkdir(service.dir, { mode: 0o755 });
    await writeFile(join(service.dir, 'licence'), '');
    await setup.deployed(name, '1.0.0', { needsFile: 'licence' });
    await setup.pushed(name, '2.0.0', name === 'retried' ? { needsFile: 'schema' } : { healthStatus: 500 });
  });
}, 600_000);
afterAll(async () => {
  setup?.close();
  await fleet?.stop();
});

/** Everything the agent has logged, over all its starts, of this service's deployments. */
async function loggedOf({ instance, name }: Service): Promise<(LogEntry & { service?: string })[]> {
  const lines = (await readFile(instance.logFile, 'utf8')).split('\n').slice(0, -1);
  const all = lines.map((line) => JSON.parse(line) as LogEntry & { service?: string });
  return all.filter(({ service }) => service === name);
}

const endings = async (service: Service, msg: string) =>
  (await loggedOf(service)).filter((entry) => entry.msg === msg);

/** The version before can run no more either: nothing is left that could. */
const spoil = ({ dir }: Service) => rm(join(dir, 'licence'));

test('a rollback that fails too is broken, said once and loudly, and a restart of the agent tries nothing', async () => {
  const service = services['left-alone'];
  await spoil(service);
  const { finished, report, deployment } = await attempt(service, '2.0.0', '--on-failure', 'stop');
  expect(finished.code).toBe(1);
  expect(report).toMatchObject({
    ...{ state: 'broken', previous: '1.0.0', version: '2.0.0', changed: true },
    // Whether it was seen alive for a moment decides which.
    error: {
      code: expect.stringMatching(/^(START|CHECK)_FAILED$/),
      message: expect.stringMatching(/^the rollback failed: /),
    },
  });
  expect(report.error?.detail).toContain('table "ledger" does not exist');
  expect(finished.stdout).toContain('broken');
  await expectSettled(service, { version: '1.0.0', down: true, watch });
  expect(await endings(service, 'broken')).toMatchObject([{ level: 'fatal', deployment }]);

  const starts = await readFile(join(service.dir, 'starts'), 'utf8');
  await fleet.stopAgent(service.instance);
  await fleet.startAgent(service.instance);
  const looked = await service.instance.agent?.line(
    (line) => line.includes(`"service":"${service.name}"`) && line.includes('converg'),
  );
  expect(looked).toContain('no convergence needed: ');
  expect(await readFile(join(service.dir, 'starts'), 'utf8')).toBe(starts);
  await expectSettled(service, { version: '1.0.0', down: true, watch });
  expect(await endings(service, 'broken')).toHaveLength(1);
  proved('broken', 'broken once; not tried again at the next start');
});

test('of a broken service the publisher’s own rollback is broken once as well, and a good version mends it', async () => {
  const service = services.undone;
  await spoil(service);
  const { finished, report, deployment } = await attempt(service, '2.0.0');
  expect(finished.code).toBe(1);
  expect(report.state).toBe('broken');
  const broken = await endings(service, 'broken');
  expect(broken.map((entry) => entry.level)).toEqual(['fatal', 'fatal']);
  expect(broken[0]).toMatchObject({ deployment });
  expect(broken[1]?.deployment).not.toBe(deployment);
  await expectSettled(service, { version: '1.0.0', down: true, watch });

  await setup.pushed(service.name, '3.0.0');
  const mended = await deploy(service, '3.0.0');
  expect(mended.report).toMatchObject({ state: 'succeeded', changed: true });
  await expectSettled(service, { version: '3.0.0', watch });
  expect(await endings(service, 'broken')).toHaveLength(2);
  proved('broken', 'one broken ending for each of two deployments; the next good version succeeded');
});

test('a version that failed is really installed again when it is tried again', async () => {
  const service = services.retried;
  const downloads = () =>
    fleet.cloud.requests.filter(
      ({ operation, key, status }) =>
        operation === 'GetObject' &&
        status !== undefined &&
        key?.startsWith('artifacts/retried/2.0.0/') &&
        key.endsWith('.tar.gz'),
    ).length;
  const first = await attempt(service, '2.0.0');
  expect(first.report).toMatchObject({
    state: 'rolled-back',
    error: { code: expect.stringMatching(/START|CHECK/) },
  });
  await expectSettled(service, { version: '1.0.0', watch });
  const once = downloads();
  const release = join(service.dir, 'releases', '2.0.0');
  await writeFile(join(release, 'left-by-the-failure'), '');

  await writeFile(join(service.dir, 'schema'), '');
  const second = await deploy(service, '2.0.0');
  expect(second.report).toMatchObject({ state: 'succeeded', previous: '1.0.0', changed: true });
  expect(downloads()).toBe(once + 1);
  expect(existsSync(join(release, 'left-by-the-failure'))).toBe(false);
  expect((await ask(service))?.version).toBe('2.0.0');
  await expectSettled(service, { version: '2.0.0', watch });
  proved('retry', 'downloaded and unpacked again, then succeeded');
});
