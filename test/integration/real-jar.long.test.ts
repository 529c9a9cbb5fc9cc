import { copyFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { controlManager, type Fleet, type Instance, startFleet } from '../support/fleet/fleet.ts';
import {
  findJava,
  holeyJar,
  SELENIUM_JARS,
  seleniumService,
  seleniumVersion,
} from '../support/fleet/selenium.ts';
import { freePort } from '../support/ports.ts';
import { eventsOf, secondsUntil } from '../support/publisher/events.ts';
import { proved } from '../support/reliability.ts';

/** A real application under a real JVM: deployed, upgraded, and saved from a jar with a hole in it. */

let fleet: Fleet;
let instance: Instance;

beforeAll(async () => {
  const java = await findJava();
  fleet = await startFleet();
  const port = await freePort();
  instance = await fleet.addInstance('i-0a1', (one) => {
    const old = join(one.dir, 'old.jar');
    const dir = join(one.dir, 'fixed');
    const fixed = {
      package: { type: 'jar', dir, adopt: { path: old, version: '3.14.0' } },
      // Not `current/fixed.jar`: it starts the same file whatever is deployed.
      manager: { ...controlManager(dir, [java, '-jar', old, '-port', String(port)]), startTimeout: '20s' },
      checks: [{ tcp: { port, deadline: '60s' } }],
      watch: '5s',
    };
    return { selenium: seleniumService(one, java), fixed };
  });
  await copyFile(SELENIUM_JARS['3.14.0'], join(instance.dir, 'old.jar'));
});
afterAll(() => fleet?.stop());

async function push(version: string, file: string, service = 'selenium'): Promise<void> {
  const pushed = await fleet.publisher('push', service, version, file);
  expect(pushed, pushed.stderr).toMatchObject({ code: 0 });
}

const say = (what: string, seconds: number) =>
  process.stdout.write(`real jar: ${what}: ${seconds.toFixed(1)} s\n`);
const currentRelease = () => readlink(join(instance.dir, 'selenium', 'current'));
const jarDownloads = () =>
  fleet.cloud.requests
    .filter(({ operation, key }) => operation === 'GetObject' && key?.endsWith('.jar'))
    .map(({ key }) => key?.split('/')[2]);

test.each([
  ['the first version of Selenium is deployed and reports its version', '3.14.0'],
  ['the next version of Selenium replaces it', '3.141.59'],
] as const)('%s', async (_title, version) => {
  await push(version, SELENIUM_JARS[version]);
  const result = await fleet.publisher('selenium', version, '--env', 'dev', '--output', 'json');
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  say(`${version}, announce to healthy`, secondsUntil(eventsOf(result), 'watching'));
  expect(await seleniumVersion(instance)).toBe(version);
  expect(await currentRelease()).toBe(`releases/${version}`);
});

test('a jar with a hole in it is rolled back to the version before, with the words of the JVM and without a download', async () => {
  await push('3.142.0', await holeyJar(SELENIUM_JARS['3.141.59'], join(fleet.dir, 'selenium-holey.jar')));
  const downloaded = jarDownloads().length;
  const result = await fleet.publisher('selenium', '3.142.0', '--env', 'dev');
  expect(result, result.stderr).toMatchObject({ code: 1, stderr: '' });
  expect(result.stdout).toMatch(
    /selenium i-0a1 rolled-back 3\.142\.0 back to 3\.141\.59 (START|CHECK)_FAILED: /,
  );
  expect(result.stdout).toMatch(/^ {2}\| Error: Invalid or corrupt jarfile current\/selenium\.jar$/m);
  expect(result.stdout).toMatch(/settled failed: .*1 rolled back/);
  say(
    '3.142.0 with a hole in it, announce to healthy again',
    Number(/\(1 rolled-back, ([\d.]+)s\)/.exec(result.stdout)?.[1]),
  );
  expect(await seleniumVersion(instance)).toBe('3.141.59');
  expect(await currentRelease()).toBe('releases/3.141.59');
  expect(jarDownloads().slice(downloaded)).toEqual(['3.142.0']);
});

test('after the rollback the desired state is the version that runs, and `status` sees no drift', async () => {
  const status = await fleet.publisher('status', 'selenium', '--env', 'dev', '--output', 'json');
  expect(status, status.stderr).toMatchObject({ code: 0 });
  expect(JSON.parse(status.stdout)).toMatchObject({
    desired: { version: '3.141.59' },
    instances: [{ version: '3.141.59', active: true, drift: false, state: 'rolled-back' }],
  });
});

test('a JVM that is started from a fixed old path does not pass for the new version, though its check passes', async () => {
  await push('3.141.59', SELENIUM_JARS['3.141.59'], 'fixed');
  const result = await fleet.publisher('fixed', '3.141.59', '--env', 'dev');
  expect(result, result.stderr).toMatchObject({ code: 1 });
  expect(result.stdout).toMatch(/fixed i-0a1 rolled-back 3\.141\.59 back to 3\.14\.0 RELEASE_NOT_RUN: /);
  expect(result.stdout).toContain(join(instance.dir, 'old.jar'));
  proved('not-running', 'a real JVM from a fixed old path: rolled back');
});
