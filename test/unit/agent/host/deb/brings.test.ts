import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { brings } from '../../../../../agent/host/deb/brings.ts';
import { buildDeb } from '../../../../support/fleet/debs.ts';
import { temporaryDirectory } from '../../../../support/host/temporary.ts';

/** A package that every Debian has installed. */
const INSTALLED = 'dpkg';

/** A release of one push with several .deb files, and with a dependency that `fetchDependencies` downloaded. */
async function release(): Promise<string> {
  const directory = await temporaryDirectory();
  const place = join(directory, 'release');
  const put = async (path: string, name: string, file: string) => {
    const deb = await buildDeb(directory, { name, version: '1', files: { [file]: '#!/bin/sh\n' } });
    await mkdir(join(place, path, '..'), { recursive: true });
    await cp(deb, join(place, path));
  };
  await put('package.deb', 'pay', '/usr/sbin/pay');
  await put('companions/pay-tools.deb', 'pay-tools', '/usr/bin/pay-cli');
  await put('dependencies/libpay_1_all.deb', 'libpay', '/bin/pay-notify');
  return place;
}

test('a program comes with the package, with a companion of the same push, or with a fetched dependency', async () => {
  const place = await release();
  const programs = [
    '/usr/sbin/pay',
    '/usr/bin/pay-cli',
    '/bin/pay-cli',
    '/bin/pay-notify',
    '/usr/bin/pay-notify',
  ];
  const found = await Promise.all(programs.map((path) => brings(INSTALLED, place, path)));
  expect(found).toEqual(programs.map(() => true));
});

test('a program that no .deb of the release has comes with none of them', async () => {
  expect(await brings(INSTALLED, await release(), '/usr/bin/pay')).toBe(false);
  expect(await brings(INSTALLED, null, '/usr/sbin/pay')).toBe(false);
});

test('before the first installation a maintainer script may make any program', async () => {
  expect(await brings('td-no-such-package', await release(), '/usr/bin/pay')).toBe(true);
});
