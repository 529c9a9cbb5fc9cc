import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { calm } from '../support/host/clock.ts';
import { debian } from '../support/host/debian.ts';
import { proved } from '../support/reliability.ts';

/** Several packages of one version, and the packages that a version moves: they come and go together. */

/** A service whose version is two packages that need each other in exactly this version, as redis is. */
async function split(options: Parameters<typeof debian>[0] = {}) {
  const world = await debian({ companions: ['edge-tools'], ...options });
  const tools = (version: string) => ({ name: 'edge-tools', files: { '/usr/bin/edge-tool': version } });
  const needsTools = (version: string) => ({ control: { Depends: `edge-tools (= ${version})` } });
  const both = async (version: string) => [
    await world.artifact(version, needsTools(version)),
    await world.artifact(version, tools(version)),
  ];
  const prepareBoth = async (version: string) =>
    await world.deb.prepare(world.order(version, await both(version)), () => {}, calm);
  return { ...world, tools, needsTools, both, prepareBoth };
}

/**
 * The service as one package, whose version 1.0 is deployed and needs edge-tools 1.0. apt would bring 2.0 for 2.0;
 * `downloads` are the cases of a shell script for its downloads, given the directory of all built packages.
 */
async function withApt(downloads: (built: string) => string) {
  const world = await split({ companions: [], fetchDependencies: true });
  const { deb, build, install, prepare, change, root, bin, needsTools, tools } = world;
  await install(await build('1.0', tools('1.0')));
  await prepare('1.0', needsTools('1.0'));
  await deb.switchTo('1.0', change());
  await build('2.0', tools('2.0'));
  const script = `#!/bin/sh
case "$*" in
  *install*) echo 'Inst edge-tools [1.0] (2.0 test [all])' ;;
${downloads(join(root, 'built'))}
esac`;
  await writeFile(join(bin, 'apt-get'), script, { mode: 0o755 });
  return world;
}

test('the packages of a version are installed by one run of dpkg, and undone together', async () => {
  const { deb, prepareBoth, change, state, runs } = await split();
  await prepareBoth('1.0');
  await deb.switchTo('1.0', change());
  expect([await state(), await state('edge-tools')]).toEqual(['1.0 installed', '1.0 installed']);
  await prepareBoth('2.0');
  const before = (await runs()).length;
  await deb.switchTo('2.0', change({ deployment: '01JDB2N5D3F8G7H6J5K4M3N2P2' }));
  const installs = (await runs()).slice(before).filter((line) => line.includes('--install'));
  expect(installs).toHaveLength(1);
  expect([await state(), await state('edge-tools')]).toEqual(['2.0 installed', '2.0 installed']);
  await deb.switchTo('1.0', change({ direction: 'back' }));
  expect([await state(), await state('edge-tools')]).toEqual(['1.0 installed', '1.0 installed']);
  expect(await deb.isWhole()).toBe(true);
  proved('companions', 'two packages: one run of dpkg, undone together');
});

test('a version is not whole while one of its packages has another version', async () => {
  const { deb, prepareBoth, change, build, install, tools } = await split();
  await prepareBoth('1.0');
  await deb.switchTo('1.0', change());
  await install(await build('1.1', tools('1.1')));
  expect(await deb.isWhole()).toBe(false);
});

test.each([
  [
    'a package that the config does not name',
    { name: 'other' },
    /contains the package other; the config allows only edge-proxy, edge-tools$/,
  ],
  ['a companion of another version', { name: 'edge-tools', version: '1.1' }, /edge-tools has version 1\.1$/],
  ['the same package twice', { files: { '/usr/bin/x': 'x' } }, /two files contain the package edge-proxy$/],
] as const)('a push with %s is refused before anything stops', async (_what, second, message) => {
  const { deb, artifact, order } = await split();
  const artifacts = [await artifact('1.0'), { ...(await artifact('1.0', second)), name: 'second.deb' }];
  await expect(deb.prepare(order('1.0', artifacts), () => {}, calm)).rejects.toMatchObject({
    code: 'PACKAGE_INVALID',
    message: expect.stringMatching(message),
  });
  expect(await deb.releases()).toEqual([]);
});

test('two .deb files for a service with one package are refused with the setting to add', async () => {
  const { deb, artifact, order } = await debian();
  const artifacts = [await artifact('1.0'), await artifact('1.0', { name: 'edge-tools' })];
  await expect(deb.prepare(order('1.0', artifacts), () => {}, calm)).rejects.toMatchObject({
    code: 'PACKAGE_INVALID',
    hint: expect.stringContaining('companions:'),
  });
});

test('a rollback removes the package that the new version brought, although the new version needs it', async () => {
  const { deb, prepare, prepareBoth, change, state, file } = await split();
  // Before the split, the one package had the file that edge-tools has now.
  await prepare('1.0', { files: { '/usr/bin/edge-tool': '1.0' } });
  await deb.switchTo('1.0', change());
  await prepareBoth('2.0');
  await deb.switchTo('2.0', change());
  expect(await file('usr/bin/edge-tool')).toBe('2.0');
  await deb.switchTo('1.0', change({ direction: 'back' }));
  expect(await state()).toBe('1.0 installed');
  await expect(state('edge-tools')).rejects.toThrow('no packages found matching edge-tools');
  expect(await file('usr/bin/edge-tool')).toBe('1.0');
});

test('a dependency that the old version pins goes back with it, in a rollback and in a later `rollback`', async () => {
  const { deb, prepare, change, state, needsTools } = await withApt(
    (built) => `  *download*) cp "${built}/edge-tools_$(echo "$*" | sed 's/.*edge-tools=//')_all.deb" . ;;
`,
  );
  await prepare('2.0', needsTools('2.0'));
  await deb.switchTo('2.0', change());
  expect([await state(), await state('edge-tools')]).toEqual(['2.0 installed', '2.0 installed']);
  await deb.switchTo('1.0', change({ direction: 'back' }));
  expect([await state(), await state('edge-tools')]).toEqual(['1.0 installed', '1.0 installed']);
  // A deployment of 2.0 that succeeds, and a `rollback` a week later.
  await prepare('2.0', needsTools('2.0'));
  await deb.switchTo('2.0', change());
  await prepare('1.0', needsTools('1.0'));
  await deb.switchTo('1.0', change());
  expect([await state(), await state('edge-tools')]).toEqual(['1.0 installed', '1.0 installed']);
  proved('companions', 'a pinned dependency is downgraded together with its package');
});

test('a dependency that the old version pins, and that apt no longer has, prevents the deployment', async () => {
  const { prepare, state, needsTools, runs } = await withApt(
    (built) => `  *edge-tools=2.0*) cp "${built}/edge-tools_2.0_all.deb" . ;;
  *) echo 'E: Version 1.0 not found' >&2; exit 100 ;;
`,
  );
  const before = await runs();
  await expect(prepare('2.0', needsTools('2.0'))).rejects.toMatchObject({
    code: 'UNDO_IMPOSSIBLE',
    message: 'the new version replaces edge-tools=1.0, and apt does not have it any more',
  });
  expect(await runs()).toEqual(before);
  expect([await state(), await state('edge-tools')]).toEqual(['1.0 installed', '1.0 installed']);
  proved('companions', 'a pinned dependency that apt no longer has: refused before anything stops');
});
