import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { holeyJar, SELENIUM_JARS, truncateJar } from '../support/fleet/selenium.ts';
import { selenium, versionOf } from './support/services.ts';
import { type Host, openSite, type Site } from './support/site.ts';

/** The story of the README, by the real programs on real instances: a real jar under a real JVM, three times. */

let site: Site;
let hosts: Host[];

beforeAll(async () => {
  site = await openSite();
  hosts = await Promise.all(
    ['i-0a1', 'i-0b2', 'i-0c3'].map(async (id) => {
      const host = await site.host(id);
      await host.boot();
      await host.configure({ selenium: await selenium(host) });
      return host;
    }),
  );
});
afterAll(() => site?.stop());

const versions = () => Promise.all(hosts.map((host) => versionOf(host, 'selenium')));
const everywhere = (version: string) => hosts.map(() => version);
const publisher = (...args: string[]) => site.fleet.publisher(...args);

test.each([
  ['a version is pushed and deployed, and every JVM runs it', '3.14.0'],
  ['the next version replaces it on every instance', '3.141.59'],
] as const)('%s', async (_title, version) => {
  const pushed = await publisher('push', 'selenium', version, SELENIUM_JARS[version]);
  expect(pushed, pushed.stderr).toMatchObject({ code: 0 });
  const result = await publisher('selenium', version, '--env', 'dev');
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  expect(await versions()).toEqual(everywhere(version));
});

test('a jar cut in half is refused at the push, and there is no such version', async () => {
  const cut = await truncateJar(SELENIUM_JARS['3.141.59'], join(site.dir, 'cut.jar'));
  const pushed = await publisher('push', 'selenium', '3.142.0', cut);
  expect(pushed).toMatchObject({ code: 2 });
  expect(pushed.stderr).toMatch(/cut\.jar is not a whole jar: the end of its zip is missing/);
  const result = await publisher('selenium', '3.142.0', '--env', 'dev');
  expect(result).toMatchObject({ code: 4 });
  expect(result.stderr).toMatch(/there is no version 3\.142\.0 of selenium/);
});

test('a jar with a hole in it is rolled back on every instance, with the words of the JVM', async () => {
  const holey = await holeyJar(SELENIUM_JARS['3.141.59'], join(site.dir, 'holey.jar'));
  const pushed = await publisher('push', 'selenium', '3.142.0', holey);
  expect(pushed, pushed.stderr).toMatchObject({ code: 0 });
  const result = await publisher('selenium', '3.142.0', '--env', 'dev');
  expect(result, result.stderr).toMatchObject({ code: 1 });
  for (const { id } of hosts) {
    expect(result.stdout).toMatch(new RegExp(`selenium ${id} rolled-back 3\\.142\\.0 back to 3\\.141\\.59`));
  }
  expect(result.stdout).toMatch(/Invalid or corrupt jarfile/);
  expect(await versions()).toEqual(everywhere('3.141.59'));
});

test('`rollback` brings back the version before, and downloads nothing', async () => {
  const downloads = () =>
    site.fleet.cloud.requests.filter(
      ({ operation, key }) => operation === 'GetObject' && key?.endsWith('.jar'),
    );
  const before = downloads().length;
  const result = await publisher('rollback', 'selenium', '--env', 'dev');
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  expect(await versions()).toEqual(everywhere('3.14.0'));
  expect(downloads()).toHaveLength(before);
});

test('`status` shows the version, that it runs, and no drift', async () => {
  const { stdout, code } = await publisher('status', 'selenium', '--env', 'dev', '--output', 'json');
  expect(code).toBe(0);
  const expected = { version: '3.14.0', active: true, drift: false };
  expect(JSON.parse(stdout)).toMatchObject({
    desired: { version: '3.14.0' },
    instances: hosts.map(() => expected),
  });
});
