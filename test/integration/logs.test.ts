import { appendFile, mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { policyOf } from '../../publisher/setup/policies.ts';
import { arns } from '../../shared/names.ts';
import type { RequestRecord } from '../support/cloud/requests.ts';
import { BUCKET, type Fleet, type Instance, sampleService, startFleet } from '../support/fleet/fleet.ts';
import { storedLogs } from '../support/fleet/stored-logs.ts';
import { evaluate } from '../support/iam/evaluate.ts';
import { EVERYTHING } from '../support/iam/places.ts';

/** An agent that uploads the logs of its service to the embedded cloud. */

const PREFIX = 'logs/dev/payments/';
let fleet: Fleet;
let instance: Instance;
let log: string;

beforeAll(async () => {
  fleet = await startFleet();
  await mkdir(join(fleet.dir, 'payments-logs'));
  log = join(fleet.dir, 'payments-logs', 'app.log');
  await writeFile(log, 'before the agent\n');
  instance = await fleet.addInstance('i-0a1', (one) => ({
    payments: sampleService(one, {
      logs: { files: [{ dir: join(fleet.dir, 'payments-logs'), match: '*.log*' }], every: '200ms' },
    }),
  }));
});
afterAll(() => fleet?.stop());

const stored = () => [...storedLogs(fleet.cloud, BUCKET, PREFIX).values()].map(String).toSorted();
const parts = () => fleet.cloud.requests.filter(({ key }) => key?.startsWith(PREFIX));

test('what a service logs is in the bucket, across a rotation and a killed agent, once', async () => {
  await expect.poll(stored).toEqual(['before the agent\n']);
  await appendFile(log, 'a line\n');
  await expect.poll(stored).toEqual(['before the agent\na line\n']);
  await fleet.stopAgent(instance, 'SIGKILL');
  await appendFile(log, 'while no agent runs\n');
  await rename(log, `${log}.1`);
  await writeFile(log, 'a new file\n');
  await fleet.startAgent(instance);
  await expect.poll(stored).toEqual(['a new file\n', 'before the agent\na line\nwhile no agent runs\n']);
  expect(fleet.cloud.objects(BUCKET, PREFIX)).toHaveLength(4);
});

test('an answer that is lost makes no second object', async () => {
  const from = parts().length;
  fleet.cloud.fail('answer-lost', ({ key }) => key?.startsWith(PREFIX) ?? false, 1);
  await appendFile(log, 'one more line\n');
  const isRepeated = (one: RequestRecord) => parts().includes(one, from) && one.status === 412;
  await fleet.cloud.until(isRepeated);
  expect(stored()[0]).toBe('a new file\none more line\n');
});

test('each upload is one that the role of the instances may make, below its own userid only', () => {
  const policy = policyOf('agent', { ...EVERYTHING, bucket: BUCKET, features: { logs: [BUCKET] } });
  const isAllowed = (key: string, userid: string) =>
    evaluate(
      {
        action: 's3:PutObject',
        resource: arns.object(EVERYTHING, BUCKET, key),
        context: { 'aws:userid': userid },
      },
      { identity: [policy] },
    ).isAllowed;
  const keys = parts().map(({ key = '' }) => key);
  const [, , , userid = ''] = keys[0]?.split('/') ?? [];
  expect(userid).toMatch(/:i-0a1$/);
  for (const key of keys) {
    expect(isAllowed(key, userid)).toBe(true);
    expect(isAllowed(key, userid.replace('i-0a1', 'i-0b2'))).toBe(false);
  }
  expect(isAllowed(`logs/prd/payments/${userid}/x`, userid)).toBe(false);
  expect([...new Set(parts().map(({ operation }) => operation))]).toEqual(['PutObject']);
});
