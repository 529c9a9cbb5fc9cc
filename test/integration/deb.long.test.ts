import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { debian } from '../support/host/debian.ts';

const VERSION = 'usr/share/edge-proxy/version';
/** A maintainer script that reports that it runs and waits until it is released, the first time it runs. */
const waitsOnce = (root: string, name: string) =>
  `if [ ! -e ${root}/${name} ]; then
     touch ${root}/${name}
     while [ ! -e ${root}/${name}-may-go-on ]; do sleep 0.05; done
   fi
   echo ${name} >> ${root}/ran`;
const touched = (path: string) =>
  vi.waitFor(async () => await readFile(path), { timeout: 20_000, interval: 10 });

test('the version in dpkg is current, without its epoch, and there is no current link', async () => {
  const { deb, prepare, change, state, file } = await debian();
  expect(await deb.current()).toBeNull();
  await prepare('1:1.0');
  expect(await deb.current()).toBeNull();
  await deb.switchTo('1.0', change());
  expect(await deb.current()).toBe('1.0');
  expect(await state()).toBe('1:1.0 installed');
  expect(await file(VERSION)).toBe('1:1.0');
});

test('an older version is installed over a newer one, and a changed conffile stays', async () => {
  const { deb, prepare, change, state, file, root } = await debian();
  const withConf = (text: string) => ({
    files: { '/etc/edge.conf': text },
    conffiles: ['/etc/edge.conf'],
  });
  await prepare('1.0', withConf('old default'));
  await deb.switchTo('1.0', change());
  await writeFile(join(root, 'instance/etc/edge.conf'), 'mine');
  await prepare('2.0', withConf('new default'));
  await deb.switchTo('2.0', change());
  expect(await file('etc/edge.conf')).toBe('mine');
  await deb.switchTo('1.0', change({ direction: 'back' }));
  expect(await state()).toBe('1.0 installed');
  expect(await file('etc/edge.conf')).toBe('mine');
});

test('the service is stopped once the dpkg lock is free, and only if there is something to install', async () => {
  const world = await debian();
  const { deb, prepare, change } = world;
  await prepare('1.0');
  await deb.switchTo('1.0', change());
  expect(world.stops).toBe(1);
  await deb.switchTo('1.0', change({ attempt: 2 }));
  expect(world.stops).toBe(1);
  await deb.switchTo('1.0', change({ attempt: 3, again: true }));
  expect(world.stops).toBe(2);
});

test('a version that is to be installed again is installed again', async () => {
  const { deb, prepare, change, file, root } = await debian();
  await prepare('1.0');
  await deb.switchTo('1.0', change());
  await rm(join(root, 'instance', VERSION));
  await deb.switchTo('1.0', change());
  expect(await file(VERSION)).toBeUndefined();
  await deb.switchTo('1.0', change({ again: true }));
  expect(await file(VERSION)).toBe('1.0');
});

test('a maintainer script that fails is reported with its output, and the old version is installed over it', async () => {
  const { deb, prepare, change, state, file } = await debian();
  await prepare('1.0');
  await deb.switchTo('1.0', change());
  await prepare('1.1', { scripts: { postinst: 'echo no such schema >&2; exit 3' } });
  const failure = await deb.switchTo('1.1', change()).catch((error: unknown) => error);
  expect(failure).toMatchObject({
    code: 'DPKG_FAILED',
    message: expect.stringMatching(/could not install edge-proxy 1\.1: .*post-installation.* status 3/),
    detail: expect.stringContaining('no such schema'),
  });
  expect(await state()).toBe('1.1 half-configured');
  expect(await deb.isWhole()).toBe(false);
  await deb.switchTo('1.0', change({ direction: 'back' }));
  expect(await state()).toBe('1.0 installed');
  expect(await deb.isWhole()).toBe(true);
  expect(await file(VERSION)).toBe('1.0');
});

test('a first version that failed is removed, conffiles stay, and removing it again is not an error', async () => {
  const { deb, prepare, change, state, file } = await debian();
  await prepare('1.0', {
    files: { '/etc/edge.conf': 'default', [`/${VERSION}`]: '1.0' },
    conffiles: ['/etc/edge.conf'],
    scripts: { postinst: 'exit 1' },
  });
  await expect(deb.switchTo('1.0', change())).rejects.toMatchObject({ code: 'DPKG_FAILED' });
  for (const attempt of [1, 2]) await deb.switchTo(null, change({ direction: 'back', attempt }));
  expect(await state()).toBe('1.0 config-files');
  expect(await deb.current()).toBeNull();
  expect(await file('etc/edge.conf')).toBe('default');
  expect(await file(VERSION)).toBeUndefined();
});

test('the lock of another process is waited for while the service runs, until lockTimeout', async () => {
  const world = await debian({ lockTimeout: 1500 });
  const { deb, prepare, change, notes } = world;
  await prepare('1.0');
  const holder = spawn('perl', [
    '-e',
    `use Fcntl; open(F, ">", "${world.lockFile}"); my $lock = pack("s s l! l! i", F_WRLCK, 0, 0, 0, 0);
     fcntl(F, F_SETLK, $lock) or die; $| = 1; print "held"; sleep 60`,
  ]);
  onTestFinished(() => void holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');
  await expect(deb.switchTo('1.0', change())).rejects.toMatchObject({
    code: 'DPKG_LOCKED',
    message: expect.stringContaining(`process ${holder.pid}`),
  });
  expect(world.stops).toBe(0);
  expect(notes).toContain(`waiting for the dpkg lock, held by process ${holder.pid}`);
  const noted = notes.length;
  const later = world.create({ lockTimeout: 20_000 }).switchTo('1.0', change({ attempt: 2 }));
  await expect.poll(() => notes.length, { interval: 10, timeout: 20_000 }).toBeGreaterThan(noted);
  holder.kill('SIGKILL');
  await later;
  expect(await deb.current()).toBe('1.0');
});

test('an installation continues without the agent, and the next agent waits for it and does not repeat it', async () => {
  const { deb, create, prepare, change, root, runs, file } = await debian();
  await prepare('1.0', { scripts: { postinst: waitsOnce(root, 'configuring') } });
  const stopping = new AbortController();
  const cut = deb.switchTo('1.0', change({ signal: stopping.signal }));
  cut.catch(() => {});
  await touched(join(root, 'configuring'));
  stopping.abort(new Error('the agent stops'));
  await expect(cut).rejects.toThrow('the agent stops');
  await writeFile(join(root, 'configuring-may-go-on'), '');
  await create().switchTo('1.0', change({ attempt: 2 }));
  expect(await deb.current()).toBe('1.0');
  expect(await file('../ran')).toBe('configuring\n');
  expect((await runs()).filter((line) => line.includes('--install'))).toHaveLength(1);
});

test.each(['preinst', 'postinst'] as const)('a dpkg that is killed in %s is resumed', async (script) => {
  const { deb, prepare, change, root, state, notes, killUnit } = await debian();
  await prepare('1.0');
  await deb.switchTo('1.0', change());
  await prepare('1.1', { scripts: { [script]: waitsOnce(root, script) } });
  const switched = deb.switchTo('1.1', change());
  switched.catch(() => {});
  await touched(join(root, script));
  await killUnit();
  await switched;
  expect(notes).toContain('dpkg was interrupted; resuming it');
  expect(await state()).toBe('1.1 installed');
});

test('a dpkg that exceeds its timeout is killed, and the error says so', async () => {
  const { deb, prepare, change } = await debian({ installTimeout: 700 });
  await prepare('1.0', { scripts: { postinst: 'sleep 60' } });
  await expect(deb.switchTo('1.0', change())).rejects.toMatchObject({
    code: 'DPKG_FAILED',
    message: 'dpkg could not install edge-proxy 1.0: it exceeded installTimeout and was killed',
  });
});

test('a half-configured other package does not fail the installation', async () => {
  const { deb, prepare, change, build, install, state } = await debian();
  const other = await build('1', { name: 'other', files: {}, scripts: { postinst: 'exit 1' } });
  await expect(install(other)).rejects.toThrow();
  await prepare('1.0');
  await deb.switchTo('1.0', change());
  expect([await state(), await state('other')]).toEqual(['1.0 installed', '1 half-configured']);
});
