import { createHash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { serviceState } from '../../agent/deploy/state.ts';
import { readJournal } from '../../agent/host/state/journal.ts';
import { NEVER } from '../../shared/abort.ts';
import type { Artifact } from '../../shared/manifest.ts';
import { keys } from '../../shared/names.ts';
import { publish } from '../fault/support/cloud/topic.ts';
import { changeOf, endingOf, packTar, SERVICE } from '../fault/support/fleet/by-hand.ts';
import { BUCKET, type Fleet, type Instance, startFleet } from '../support/fleet/fleet.ts';
import { type Costs, countCosts } from '../support/host/costs.ts';
import { debian } from '../support/host/debian.ts';
import { forge, trustedKey } from '../support/publisher/announcements.ts';
import { jarOf } from '../support/shared/zip.ts';

/** What one deployment asks of the machine that it runs on. A change that costs more, or less, changes these numbers. */

const COUNTER = new URL('../support/fleet/count-costs.ts', import.meta.url).href;
const FILE_BYTES = 3_000_000;

let fleet: Fleet;

beforeAll(async () => {
  fleet = await startFleet({
    agentEnv: ({ dir }) => ({ NODE_OPTIONS: `--import=${COUNTER}`, COSTS_FILE: join(dir, 'costs') }),
  });
});

afterAll(() => fleet?.stop());

function addInstance(id: string, type: 'jar' | 'archive'): Promise<Instance> {
  return fleet.addInstance(id, ({ dir }) => {
    const fine = ['/bin/true'];
    return {
      [SERVICE]: {
        package: { type, dir: join(dir, SERVICE) },
        manager: { type: 'command', start: fine, stop: fine, restart: fine, status: fine },
        checks: [{ command: { run: ['/bin/true'] } }],
        watch: '0s',
      },
    };
  });
}

async function deploy(instance: Instance, version: string, name: string, bytes: Buffer): Promise<void> {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  fleet.cloud.putObject(BUCKET, keys.artifact(SERVICE, version, sha256, name), bytes);
  const artifacts: Artifact[] = [{ name, size: bytes.length, sha256, role: 'package' }];
  const change = changeOf({ version, sequence: Number(version), artifacts, targets: [instance.id] });
  await publish(fleet.cloud, fleet.topicArn, forge({ key: await trustedKey(fleet), payload: change }));
  expect(await endingOf(fleet.cloud, change.deployment, instance.id)).toMatchObject({ state: 'succeeded' });
  const journal = {
    path: join(instance.dir, 'state', 'services', `${SERVICE}.journal`),
    parse: (value: unknown) => serviceState.parse(value),
  };
  // The report is forgotten once it is delivered; the record of the instance is written last of all.
  await expect.poll(async () => (await readJournal(journal))?.outbox).toEqual([]);
  await expect.poll(() => recordOf(instance)?.version).toBe(version);
}

function recordOf(instance: Instance) {
  const key = fleet.cloud
    .objects(BUCKET)
    .find((name) => name.startsWith(keys.instances('dev', SERVICE)) && name.includes(instance.id));
  const stored = key === undefined ? undefined : fleet.cloud.object(BUCKET, key);
  return stored && (JSON.parse(stored.body.toString('utf8')) as { version?: string });
}

async function costsOf(instance: Instance): Promise<Costs> {
  const path = join(instance.dir, 'costs');
  await rm(path, { force: true });
  instance.agent?.process.kill('SIGUSR2');
  await expect.poll(() => readFile(path, 'utf8').catch(() => undefined)).toBeDefined();
  return JSON.parse(await readFile(path, 'utf8')) as Costs;
}

/** What was written below a path that ends like this. */
function bytesIn({ written }: Costs, place: RegExp): number {
  return Object.entries(written).reduce((sum, [path, bytes]) => sum + (place.test(path) ? bytes : 0), 0);
}

const RECORD = { jar: 423, archive: 480, deb: 421 };

test.each([
  ['jar', 'i-0a1', 'app.jar', async () => jarOf(Buffer.alloc(FILE_BYTES))],
  ['archive', 'i-0a2', 'app.tar', () => packTar(fleet.dir, '1', FILE_BYTES)],
] as const)('the cost of one deployment of a %s', async (type, id, name, pack) => {
  const instance = await addInstance(id, type);
  const bytes = await pack();
  // The first one also makes the directories.
  await deploy(instance, '1', name, bytes);
  await costsOf(instance);
  await deploy(instance, '2', name, bytes);
  const costs = await costsOf(instance);
  // Twelve states in the journal; and the release, the link to it, and the directories that both lie in.
  expect(costs.fsyncs).toBe(25);
  // The command that restarts, and six that ask for the status or are the check.
  expect(costs.processes).toEqual(Array(7).fill('true'));
  const unpacked = type === 'archive' ? FILE_BYTES + '1'.length : 0;
  expect(bytesIn(costs, /\/\.staging\//)).toBe(bytes.length + unpacked + RECORD[type]);
  expect(bytesIn(costs, /\.journal$/)).toBeLessThan(32_000);
  // Files that tell of a running command, if it runs long enough, are all that is left.
  expect(bytesIn(costs, /^(?!.*(\.staging|\.journal$|\/commands\/))/)).toBe(0);
});

test('the cost of one deployment of a deb', async () => {
  const { deb, artifact, order, prepare, change } = await debian();
  await prepare('1.0');
  await deb.switchTo('1.0', change());
  const next = await artifact('2.0');
  const counter = await countCosts();
  onTestFinished(() => counter.stop());
  await deb.prepare(order('2.0', [next]), () => undefined, NEVER);
  const prepared = counter.take();
  await deb.switchTo('2.0', change());
  const switched = counter.take();
  await deb.prune(new Set());
  const pruned = counter.take();
  expect([prepared, switched, pruned].map(({ fsyncs }) => fsyncs)).toEqual([11, 2, 3]);
  expect(prepared.processes).toHaveLength(12);
  // systemd is asked until dpkg has ended.
  expect(switched.processes.filter((name) => name !== 'systemctl')).toHaveLength(7);
  expect(pruned.processes).toHaveLength(1);
  expect(bytesIn(prepared, /./)).toBe(next.size + RECORD.deb);
  expect([...Object.keys(switched.written), ...Object.keys(pruned.written)]).toEqual([]);
});
