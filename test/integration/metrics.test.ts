import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as z from 'zod';
import { agentQueueName } from '../../shared/names.ts';
import { parseExposition } from '../support/agent/exposition.ts';
import { EMF_SCHEMA, emfMistakes } from '../support/aws/emf-schema.ts';
import { deploy, push } from '../support/commands.ts';
import { type Fleet, type Instance, startFleet } from '../support/fleet/fleet.ts';
import { freePort } from '../support/ports.ts';

/** What an agent with `metrics:` shows of a deployment, by the real programs. Each test depends on those before it. */

let fleet: Fleet;
let instance: Instance;
let url: string;

beforeAll(async () => {
  fleet = await startFleet();
  const address = `127.0.0.1:${await freePort()}`;
  url = `http://${address}/metrics`;
  instance = await fleet.addInstance('i-0a1', undefined, { metrics: { emf: 'log', prometheus: address } });
  await push(fleet, '1.1.0');
  await deploy(fleet, '1.1.0');
});
afterAll(() => fleet?.stop());

async function sample(name: string, labels: Record<string, string> = {}): Promise<number | undefined> {
  const all = parseExposition(await (await fetch(url)).text());
  const isIt = (one: (typeof all)[number]) =>
    one.name === `trigger_deploy_${name}` &&
    Object.entries(labels).every(([key, value]) => one.labels[key] === value);
  return all.find(isIt)?.value;
}

test('a scraper on the instance reads its deployments, its steps and its queue', async () => {
  const service = 'payments';
  expect(await sample('deployments_total', { service, ending: 'succeeded' })).toBe(1);
  expect(await sample('step_seconds_sum', { service, step: 'prepare' })).toBeGreaterThan(0);
  expect(await sample('announcement_age_seconds_count')).toBeGreaterThan(0);
  expect(await sample('drift_seconds', { service })).toBe(0);
  await expect.poll(() => sample('outbox_reports', { service })).toBe(0);
});

test('a forged announcement is counted', async () => {
  fleet.cloud.sendRaw(agentQueueName('dev', instance.id), 'e30.e30.AAAA');
  const code = 'SIGNATURE_INVALID';
  await expect
    .poll(async () => {
      const documents = await sample('announcements_refused_total', { code: 'DOCUMENT_INVALID' });
      return (documents ?? 0) + ((await sample('announcements_refused_total', { code })) ?? 0);
    })
    .toBe(1);
});

test('the log has a line in embedded metric format for the deployment, and its other lines are as before', async () => {
  const lines = (await readFile(instance.logFile, 'utf8')).trimEnd().split('\n');
  const documents = lines.filter((line) => line.startsWith('{"_aws"'));
  const schema = z.fromJSONSchema(EMF_SCHEMA);
  for (const line of documents) {
    expect(schema.safeParse(JSON.parse(line)).success).toBe(true);
    expect(emfMistakes(line)).toEqual([]);
  }
  const [ended] = documents.map((line) => JSON.parse(line)).filter((one) => one.Deployments === 1);
  expect(ended).toMatchObject({
    Environment: 'dev',
    Service: 'payments',
    Ending: 'succeeded',
    Instance: 'i-0a1',
  });
  for (const line of lines) expect(JSON.parse(line)).toBeTypeOf('object');
});
