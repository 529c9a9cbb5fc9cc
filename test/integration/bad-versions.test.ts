import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { deploy, push } from '../support/commands.ts';
import { archiveDownloads } from '../support/fleet/downloads.ts';
import { type Fleet, type Instance, startFleet } from '../support/fleet/fleet.ts';
import { elements, junitMistakes } from '../support/publisher/junit-schema.ts';
import { parseXml } from '../support/publisher/strict-xml.ts';

/** Versions that are not healthy or cannot start, by the real programs. Each test depends on those before it. */

let fleet: Fleet;
let instances: readonly Instance[];

beforeAll(async () => {
  fleet = await startFleet();
  instances = await Promise.all(['i-0a1', 'i-0b2', 'i-0c3'].map((id) => fleet.addInstance(id)));
  await push(fleet, '1.1.0');
  await deploy(fleet, '1.1.0');
});
afterAll(() => fleet?.stop());

const versions = () => Promise.all(instances.map(async (instance) => (await fleet.ask(instance))?.version));
const everywhere = (version: string | undefined) => [version, version, version];
const downloads = () => archiveDownloads(fleet);

test('a version that answers 500 is rolled back everywhere, with the reason and the service’s own log', async () => {
  await push(fleet, '1.2.0', { healthStatus: 500 });
  const before = downloads().length;
  const result = await fleet.publisher('payments', '1.2.0', '--env', 'dev', '--junit', 'deploy.xml');
  expect(result.code).toBe(1);
  expect(result.stdout).toMatch(/rolled-back .*CHECK_FAILED/);
  expect(result.stdout).toContain('connection pool of 1.2.0 is empty');
  expect(await versions()).toEqual(everywhere('1.1.0'));
  expect(downloads().length - before).toBe(3);
});

test('the JUnit file has a failing case for each instance, with the log', async () => {
  const root = parseXml(await readFile(join(fleet.publisherDir, 'deploy.xml'), 'utf8'));
  expect(junitMistakes(root)).toEqual([]);
  const failures = elements(root, 'failure');
  expect(failures.map(({ attributes }) => attributes.type)).toEqual(everywhere('CHECK_FAILED'));
  expect(failures[0]?.text).toContain('connection pool of 1.2.0 is empty');
  const names = elements(root, 'testcase').map(
    ({ attributes: { classname, name } }) => `${classname} ${name}`,
  );
  expect(names).toEqual(expect.arrayContaining(instances.map(({ id }) => `payments.dev ${id}`)));
});

test('the JUnit file of a refused command has one failing case', async () => {
  const result = await fleet.publisher('payments', '9.9.9', '--env', 'dev', '--junit', 'deploy.xml');
  expect(result.code).toBe(4);
  const root = parseXml(await readFile(join(fleet.publisherDir, 'deploy.xml'), 'utf8'));
  expect(elements(root, 'testcase')).toHaveLength(1);
  expect(elements(root, 'error')[0]?.attributes.type).toBe('VERSION_NOT_FOUND');
});

test('the desired state stayed at the version that runs', async () => {
  const { stdout, code } = await fleet.publisher('status', '--env', 'dev', '--output', 'json');
  expect(code).toBe(0);
  const status = JSON.parse(stdout) as { service: string; desired: { version: string } };
  expect(status.service).toBe('payments');
  expect(JSON.stringify(status.desired)).toContain('1.1.0');
});

test('show prints all of one deployment', async () => {
  const history = await fleet.publisher('history', 'payments', '--env', 'dev', '--output', 'json');
  const deployments = history.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { deployment: string; version: string });
  const bad = deployments.find((one) => one.version === '1.2.0');
  const { stdout, code } = await fleet.publisher('show', bad?.deployment ?? '', '--env', 'dev');
  expect(code).toBe(0);
  for (const { id } of instances) expect(stdout).toContain(id);
  expect(stdout).toContain('CHECK_FAILED');
  expect(stdout).toContain('connection pool of 1.2.0 is empty');
});

test('watch of a finished deployment gives its exit code again', async () => {
  const history = await fleet.publisher('history', 'payments', '--env', 'dev', '--output', 'json');
  const bad = history.stdout.split('\n').find((line) => line.includes('"1.2.0"'));
  const { deployment } = JSON.parse(bad ?? '{}') as { deployment: string };
  expect((await fleet.publisher('watch', deployment, '--env', 'dev')).code).toBe(1);
});

test('a version that cannot start is rolled back', async () => {
  await push(fleet, '1.3.0', { exitAtStart: true });
  const result = await fleet.publisher('payments', '1.3.0', '--env', 'dev');
  expect(result.code).toBe(1);
  expect(result.stdout).toContain('table "ledger" does not exist');
  expect(await versions()).toEqual(everywhere('1.1.0'));
});
