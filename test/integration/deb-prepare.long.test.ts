import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { calm } from '../support/host/clock.ts';
import { debian } from '../support/host/debian.ts';

const run = promisify(execFile);

/** What is decided before dpkg runs: what is refused, what is needed, what can be undone, what is kept. */

test.each([
  [
    'another package',
    '1.0',
    { name: 'other' },
    'the .deb of 1.0 contains the package other; the config allows only edge-proxy',
  ],
  ['another version', '1.0', { version: '1.1' }, 'the .deb of 1.0 has version 1.1'],
  [
    'another machine',
    '1.0',
    { architecture: 'hurd-i386' },
    /^the \.deb of 1\.0 is for hurd-i386; this machine is /,
  ],
  [
    'a missing dependency',
    '1.0',
    { control: { Depends: 'libnope (>= 2) | other' } },
    /needs libnope \(>= 2\) \| other$/,
  ],
] as const)(
  'a .deb with %s is refused before anything stops, and nothing of it was run',
  async (what, version, more, message) => {
    const world = await debian();
    const artifact = await world.artifact(version, { scripts: { preinst: 'exit 1' }, ...more });
    await expect(world.deb.prepare(world.order(version, [artifact]), () => {}, calm)).rejects.toMatchObject({
      code: what === 'a missing dependency' ? 'DEPENDENCY_UNMET' : 'PACKAGE_INVALID',
      message: expect.stringMatching(message),
    });
    expect(await world.runs()).toEqual([]);
  },
);

test('a file that is not a Debian package, and a package with config files, are refused', async () => {
  const { deb, store, artifact, order } = await debian();
  const refused = (...artifacts: Parameters<typeof order>[1]) =>
    expect(deb.prepare(order('1.0', artifacts), () => {}, calm)).rejects.toMatchObject({
      code: 'PACKAGE_INVALID',
    });
  await refused(store.put('edge.deb', 'no ar archive'));
  await refused(store.put('edge.jar', 'jar'));
  await refused(await artifact('1.0'), store.put('edge.conf', 'x', 'config'));
  expect(await deb.releases()).toEqual([]);
});

test('a dependency is met by a version, by what is provided, and by an alternative', async () => {
  const { prepare, build, install } = await debian();
  await install(
    await build('2:1.5', { name: 'libedge', files: {}, control: { Provides: 'edge-abi (= 3)' } }),
  );
  const needs = (version: string, Depends: string) => prepare(version, { control: { Depends } });
  await expect(needs('1.0', 'libedge (>= 2:2)')).rejects.toMatchObject({
    message: 'edge-proxy 1.0 needs libedge (>= 2:2), found 2:1.5',
  });
  await expect(needs('1.1', 'edge-abi (>= 4)')).rejects.toMatchObject({ code: 'DEPENDENCY_UNMET' });
  await needs('1.2', 'nothing | libedge (>= 2:1), edge-abi (>= 2), libedge (<< 3:0)');
});

test('a package that trigger-deploy did not install is replaced only if its .deb is available for a rollback', async () => {
  const { deb, prepare, build, install, manifests, store, change, state } = await debian();
  const foreign = await build('0.9');
  await install(foreign);
  await expect(prepare('1.0')).rejects.toMatchObject({
    code: 'UNDO_IMPOSSIBLE',
    hint: expect.stringContaining('edge 0.9'),
  });
  const pushed = store.put('edge-0.9.deb', await readFile(foreign));
  const about = { v: 1 as const, service: 'edge', version: '0.9', pushedAt: '2026-01-01T00:00:00Z' };
  manifests.set('0.9', { ...about, artifacts: [pushed], pushedBy: 'ci', nonce: 'n' });
  await prepare('1.0');
  await deb.switchTo('1.0', change());
  await deb.switchTo('0.9', change({ direction: 'back' }));
  expect(await state()).toBe('0.9 installed');
});

test('with acceptNoUndo a package without its .deb is replaced, and a rollback to it fails with the reason', async () => {
  const { deb, prepare, build, install, change } = await debian({ acceptNoUndo: true });
  await install(await build('0.9'));
  await prepare('1.0');
  await deb.switchTo('1.0', change());
  await expect(deb.switchTo('0.9', change({ direction: 'back' }))).rejects.toMatchObject({
    code: 'RELEASE_INCOMPLETE',
  });
});

test('a rollback to a version that is still installed needs no .deb', async () => {
  const { deb, build, install, change } = await debian();
  await install(await build('0.9'));
  await deb.switchTo('0.9', change({ direction: 'back' }));
  expect(await deb.current()).toBe('0.9');
});

test('pruning keeps the release of the installed version, although no link points at it', async () => {
  const { deb, prepare, change } = await debian();
  for (const version of ['1', '2', '3', '4', '5']) {
    await prepare(version);
    if (version === '1') await deb.switchTo('1', change());
  }
  expect(await deb.prune(new Set())).toEqual(['2']);
  expect((await deb.releases()).map(({ version }) => version).sort()).toEqual(['1', '3', '4', '5']);
});

test.each([
  [
    'conflicts with it',
    { control: { Conflicts: 'edge-proxy (>= 2.0)' } },
    {},
    /^dpkg would refuse edge-proxy 2\.0: other conflicts with edge-proxy \(>= 2\.0\)$/,
  ],
  ['it breaks', {}, { control: { Breaks: 'other' } }, /edge-proxy breaks other$/],
  [
    'dpkg would remove',
    {},
    { control: { Conflicts: 'other', Replaces: 'other' } },
    /^dpkg would remove other to install edge-proxy/,
  ],
  [
    'needs the old version',
    { control: { Depends: 'edge-proxy (= 1.0)' } },
    {},
    /^other 1, which is installed, needs edge-proxy \(= 1\.0\), found 2\.0$/,
  ],
  [
    'has one of its files',
    { files: { '/usr/share/shared file': 'x' } },
    { files: { '/usr/share/shared file': 'y' } },
    /^\/usr\/share\/shared file of edge-proxy 2\.0 belongs to other 1 too$/,
  ],
] as const)(
  'another package that %s is found before the service stops',
  async (_what, other, mine, message) => {
    const { deb, prepare, change, build, install, runs, state } = await debian();
    await prepare('1.0');
    await deb.switchTo('1.0', change());
    await install(await build('1', { name: 'other', files: {}, ...other }));
    const before = await runs();
    await expect(prepare('2.0', mine)).rejects.toMatchObject({
      code: 'PACKAGE_CONFLICT',
      message: expect.stringMatching(message),
      hint: expect.any(String),
    });
    expect(await runs()).toEqual(before);
    expect([await state(), await state('other')]).toEqual(['1.0 installed', '1 installed']);
  },
);

test('a file of another package that the new one replaces, and a diverted file, are no conflict', async () => {
  const { prepare, build, install, bin } = await debian();
  const files = { '/usr/share/a': 'x', '/usr/share/b': 'x' };
  await install(await build('1', { name: 'other', files }));
  await run(join(bin, 'dpkg-divert'), [
    '--no-rename',
    '--package',
    'edge-proxy',
    '--divert',
    '/usr/share/b.other',
    '--add',
    '/usr/share/b',
  ]);
  await prepare('2.0', { files, control: { Replaces: 'other (<< 2)' } });
});
