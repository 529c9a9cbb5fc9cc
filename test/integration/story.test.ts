import { afterAll, beforeAll, expect, test } from 'vitest';
import { archiveDownloads } from '../support/fleet/downloads.ts';
import { type Fleet, type Instance, startFleet } from '../support/fleet/fleet.ts';

/** One story, from an empty bucket to a rollback, by the real programs. Each test depends on those before it. */

let fleet: Fleet;
let instances: readonly Instance[];

beforeAll(async () => {
  fleet = await startFleet();
  instances = await Promise.all(['i-0a1', 'i-0b2', 'i-0c3'].map((id) => fleet.addInstance(id)));
});
afterAll(() => fleet?.stop());

const versions = () => Promise.all(instances.map(async (instance) => (await fleet.ask(instance))?.version));
const everywhere = (version: string | undefined) => [version, version, version];
const downloads = () => archiveDownloads(fleet);

async function push(version: string, behaviour = {}) {
  const pushed = await fleet.publisher('push', 'payments', version, await fleet.pack(version, behaviour));
  expect(pushed, pushed.stderr).toMatchObject({ code: 0 });
}

test('a version that was not pushed cannot be deployed, and the answer says what to do', async () => {
  const result = await fleet.publisher('payments', '1.0.0', '--env', 'dev');
  expect(result.code).toBe(4);
  expect(result.stderr).toMatch(/payments/);
  expect(result.stderr).toMatch(/→ .*push/);
});

test('the first deploy brings every instance to the version', async () => {
  await push('1.0.0');
  const result = await fleet.publisher('payments', '1.0.0', '--env', 'dev');
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  expect(await versions()).toEqual(everywhere('1.0.0'));
  for (const { id } of instances)
    expect(result.stdout).toMatch(new RegExp(`payments ${id} succeeded 1\\.0\\.0`));
});

test('the next version replaces it, and `latest` is a version', async () => {
  await push('1.1.0');
  const result = await fleet.publisher('payments', 'latest', '--env', 'dev', '--reason', 'ticket 4711');
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  expect(await versions()).toEqual(everywhere('1.1.0'));
});

test('rollback goes to the version before, and downloads nothing', async () => {
  const before = downloads().length;
  const result = await fleet.publisher('rollback', 'payments', '--env', 'dev', '--reason', 'wrong totals');
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  expect(await versions()).toEqual(everywhere('1.0.0'));
  expect(downloads().length).toBe(before);
});

test('history lists who, what and why, newest first', async () => {
  const { stdout, code } = await fleet.publisher('history', 'payments', '--env', 'dev');
  expect(code).toBe(0);
  const [rollback, upgrade] = ['wrong totals', 'ticket 4711'].map((reason) => stdout.indexOf(reason));
  expect(rollback).toBeGreaterThan(-1);
  expect(upgrade).toBeGreaterThan(rollback ?? -1);
});

test('--no-wait announces and leaves, and the instances come to the version', async () => {
  const result = await fleet.publisher('payments', '1.1.0', '--env', 'dev', '--no-wait');
  expect(result, result.stderr).toMatchObject({ code: 0 });
  const [id] = /01[0-9A-Z]{24}/.exec(result.stdout) ?? [''];
  expect((await fleet.publisher('watch', id, '--env', 'dev')).code).toBe(0);
  expect(await versions()).toEqual(everywhere('1.1.0'));
});

test('the publishers left no reply queue behind', () => {
  expect(fleet.cloud.queues().filter((name) => name.includes('-reply-'))).toEqual([]);
});
