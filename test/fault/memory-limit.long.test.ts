import { createHash } from 'node:crypto';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Artifact } from '../../shared/manifest.ts';
import { keys } from '../../shared/names.ts';
import { clientsOf } from '../support/cloud/clients.ts';
import { BUCKET, type Fleet, type Instance, startFleet } from '../support/fleet/fleet.ts';
import { flagsOfTheUnit, mallocOfTheUnit } from '../support/host/unit-heap.ts';
import { forge, trustedKey } from '../support/publisher/announcements.ts';
import { proved } from '../support/reliability.ts';
import { jarOf } from '../support/shared/zip.ts';
import { publish } from './support/cloud/topic.ts';
import { changeOf, cheapServices, currentOf, endingOf, SERVICE } from './support/fleet/by-hand.ts';
import { type MemoryLimit, memoryLimit, residentMemory } from './support/fleet/memory-limit.ts';

/** The whole of it takes minutes; each day plays a part. TRIGGER_DEPLOY_WHOLE_MEMORY=1 plays all. */
const isWhole = process.env.TRIGGER_DEPLOY_WHOLE_MEMORY === '1';
const MIB = 2 ** 20;
const LIMIT = 128 * MIB;
const LARGE = isWhole ? 2 ** 30 : 128 * MIB;
const SMALL = 20 * MIB;
const DEPLOYMENTS = isWhole ? 100 : 12;
/** Then the process has its size. */
const WARM = DEPLOYMENTS / 4;
/** What is kept of each deployment would be 20 MiB. */
const FLAT = 24 * MIB;
/** So much more than before its first deployment, whatever the size of the artifact. */
const ABOVE_IDLE = 40 * MIB;

let fleet: Fleet;
let instance: Instance;
let limit: MemoryLimit | undefined;
let sequence = 0;

beforeAll(async () => {
  limit = memoryLimit(LIMIT);
  const flags = [...(await flagsOfTheUnit()), limit?.nodeOption ?? ''].join(' ');
  const malloc = await mallocOfTheUnit();
  fleet = await startFleet({ agentEnv: () => ({ ...malloc, NODE_OPTIONS: flags }) });
  instance = await fleet.addInstance('i-0a1', (one) => ({
    [SERVICE]: { ...cheapServices(one)[SERVICE], package: { type: 'jar', dir: `${one.dir}/${SERVICE}` } },
  }));
  if (limit) expect(limit.members()).toEqual([agentPid()]);
});

afterAll(async () => {
  await fleet?.stop();
  limit?.remove();
});

const agentPid = () => instance.agent?.process.pid ?? 0;

/** Deploys `bytes` as a jar with this version. Its object is deleted afterwards: the cloud holds it in memory. */
async function deployJar(version: string, bytes: Buffer, sha256: string): Promise<void> {
  const name = `${SERVICE}-${version}.jar`;
  const Key = keys.artifact(SERVICE, version, sha256, name);
  fleet.cloud.putObject(BUCKET, Key, bytes);
  const artifacts: Artifact[] = [{ name, size: bytes.length, sha256, role: 'package' }];
  sequence += 1;
  const change = changeOf({ version, sequence, artifacts });
  await publish(fleet.cloud, fleet.topicArn, forge({ key: await trustedKey(fleet), payload: change }));
  expect(await endingOf(fleet.cloud, change.deployment, instance.id)).toMatchObject({ state: 'succeeded' });
  const { s3, close } = clientsOf(fleet.cloud);
  await s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key }));
  close();
}

const sha256Of = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

test('a large artifact and many deployments fit into 128 MB, and the memory stays flat', async () => {
  const pid = agentPid();
  const idle = residentMemory(pid);
  {
    const large = jarOf(Buffer.alloc(LARGE));
    await deployJar('0.1.0', large, sha256Of(large));
  }
  const afterLarge = residentMemory(pid);
  const small = jarOf(Buffer.alloc(SMALL, 'x'));
  const sha256 = sha256Of(small);
  const memory: number[] = [];
  for (let n = 1; n <= DEPLOYMENTS; n += 1) {
    await deployJar(`1.0.${n}`, small, sha256);
    memory.push(residentMemory(pid));
  }
  expect(agentPid()).toBe(pid);
  expect(limit?.kills() ?? 0).toBe(0);
  expect(await currentOf(instance)).toBe(`1.0.${DEPLOYMENTS}`);
  const warm = Math.max(...memory.slice(0, WARM));
  const peak = Math.max(...memory);
  expect(peak - warm).toBeLessThan(FLAT);
  expect(peak).toBeLessThan(LIMIT + FLAT);
  expect(Math.max(peak, afterLarge) - idle).toBeLessThan(ABOVE_IDLE);
  const mib = (bytes: number) => Math.round(bytes / MIB);
  const where = limit ? 'within a limit of 128 MiB' : 'without a limit from outside';
  proved(
    'memory',
    `an artifact of ${mib(LARGE)} MiB and ${DEPLOYMENTS} deployments of 20 MiB ${where}: ${mib(idle)} MiB resident before, ${mib(afterLarge)} after the first, ${mib(warm)} when warm, ${mib(peak)} at most`,
  );
});
