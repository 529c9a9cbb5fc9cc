import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { ServiceProcess } from '../../../../../agent/deploy/look-port.ts';
import { lookAtReleases } from '../../../../../agent/host/releases/shown-releases.ts';
import { placesOf } from '../../../../../agent/host/releases/staging.ts';
import { temporaryDirectory } from '../../../../support/host/temporary.ts';

/** Which releases real processes show. */

async function service() {
  const places = placesOf(join(await temporaryDirectory(), 'opt', 'payments'));
  for (const version of ['1.0.0', '2.0.0']) {
    await mkdir(places.release(version), { recursive: true });
    await writeFile(join(places.release(version), 'app.jar'), version);
    await writeFile(join(places.release(version), 'app.sh'), 'echo up\nread -r never\n');
    await copyFile('/bin/dash', join(places.release(version), 'program'));
  }
  await symlink('releases/2.0.0', places.current);
  await symlink('releases/1.0.0', join(places.dir, 'stable'));
  return places;
}
type Places = Awaited<ReturnType<typeof service>>;

const UP = 'echo up; read -r never';

/** A process that is up; its stdin is open until the end of the test. */
async function start(argv: readonly string[], cwd = '/'): Promise<ServiceProcess> {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { cwd, stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return { pid: child.pid ?? 0, id: `${child.pid}-1`, main: true };
}

const look = (places: Places, process: ServiceProcess, before: string[] = []) =>
  lookAtReleases(places, undefined, '2.0.0', [process], new Set(before));
const shown = async (places: Places, process: ServiceProcess, before: string[] = []) =>
  (await look(places, process, before)).shown.map(({ version, by }) => [
    version,
    by.replace(/ \/.*| [^ ]*$/, ''),
  ]);

test.each<[string, (places: Places) => Promise<ServiceProcess>, string]>([
  ['a program', ({ dir }) => start([join(dir, 'releases/1.0.0/program'), '-c', UP]), 'its program'],
  [
    'a program that is started by a link',
    ({ dir }) => start([join(dir, 'stable/program'), '-c', UP]),
    'its program',
  ],
  [
    'a working directory',
    ({ dir }) => start(['/bin/sh', '-c', UP], join(dir, 'stable')),
    'its working directory',
  ],
  [
    'an open file',
    ({ dir }) => start(['/bin/sh', '-c', `exec 9< ${dir}/stable/app.jar; ${UP}`]),
    'its open file',
  ],
  ['a script', ({ dir }) => start(['/bin/sh', join(dir, 'releases/1.0.0/app.sh')]), 'its open file'],
  [
    'an option',
    ({ dir }) => start(['/bin/sh', '-c', UP, `-Dapp=${dir}/releases/1.0.0/app.jar`]),
    'its argument',
  ],
  [
    'a class path',
    ({ dir }) => start(['/bin/sh', '-c', UP, `/a.jar:${dir}/releases/1.0.0/b.jar`]),
    'its argument',
  ],
  [
    'a relative path',
    ({ dir }) => start(['/bin/sh', '-c', UP, './releases/1.0.0/app.jar'], dir),
    'its argument',
  ],
  [
    'a path through a link',
    ({ dir }) => start(['/bin/sh', '-c', UP, `${dir}/stable/app.jar`]),
    'its argument',
  ],
])('%s of another release is found', async (_what, started, by) => {
  const places = await service();
  const found = await shown(places, await started(places));
  expect(found.map(([version]) => version)).toEqual(['1.0.0']);
  expect(found[0]?.[1]).toBe(by);
});

test('what is started by the path of `current` shows the release that is current', async () => {
  const places = await service();
  const inCurrent = await start(['/bin/sh', '-c', UP], places.current);
  const byArgument = await start(['/bin/sh', '-c', UP, '-jar', `${places.current}/app.jar`]);
  const relative = await start(['/bin/sh', '-c', UP, 'current/app.jar'], places.dir);
  for (const process of [inCurrent, byArgument, relative]) {
    expect((await look(places, process)).shown).toMatchObject([{ wanted: true, version: '2.0.0' }]);
  }
});

test('where `current` led is not known of a process from before the switch', async () => {
  const places = await service();
  const process = await start(['/bin/sh', '-c', UP, `${places.current}/app.jar`]);
  expect((await look(places, process, [process.id])).shown).toEqual([]);
});

test('a release that was removed, or replaced, counts as another one', async () => {
  const places = await service();
  const process = await start(['/bin/sh', '-c', UP], places.release('1.0.0'));
  await rm(places.release('1.0.0'), { recursive: true });
  expect(await shown(places, process)).toEqual([['1.0.0', 'its working directory']]);
  const replaced = await start(['/bin/sh', '-c', UP], places.release('2.0.0'));
  await mkdir(places.staging);
  await rename(places.release('2.0.0'), join(places.staging, 'replaced'));
  await rm(places.staging, { recursive: true });
  expect((await look(places, replaced)).shown).toMatchObject([{ wanted: false, version: undefined }]);
});

test('the path of `adopt` is the adopted version', async () => {
  const places = await service();
  const legacy = join(places.dir, '..', 'legacy.jar');
  await writeFile(legacy, '');
  const process = await start(['/bin/sh', '-c', UP, '-jar', legacy]);
  const adopt = { path: legacy, version: 'legacy' };
  const { shown: found } = await lookAtReleases(places, adopt, '2.0.0', [process], new Set());
  expect(found).toMatchObject([{ wanted: false, version: 'legacy' }]);
});

test('a process that names nothing of the service shows nothing, and one that has ended neither', async () => {
  const places = await service();
  const process = await start([
    '/bin/sh',
    '-c',
    UP,
    '/opt/other/releases/1.0.0/app.jar',
    `${places.dir}-2/releases/1.0.0/a`,
  ]);
  expect(await look(places, process)).toMatchObject({ shown: [], hidden: 0 });
  expect(await look(places, { pid: 2 ** 22 + 1, id: 'gone', main: true })).toMatchObject({
    shown: [],
    hidden: 0,
  });
});

test('a service directory that is reached by a link shows the same', async () => {
  const real = await service();
  const link = join(real.dir, '..', 'link');
  await symlink(real.dir, link);
  const process = await start(['/bin/sh', '-c', UP, `${real.dir}/releases/1.0.0/app.jar`], `${link}/current`);
  const found = await shown(placesOf(link), process);
  expect(found.map(([version]) => version).sort()).toEqual(['1.0.0', '2.0.0']);
});
