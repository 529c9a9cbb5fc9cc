import { promises } from 'node:fs';
import { chmod, chown, lchown, link, mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { PackageType } from '../../../../../agent/deploy/ports.ts';
import { createArchivePackage } from '../../../../../agent/host/releases/archive.ts';
import { calm } from '../../../../support/host/clock.ts';
import { jarService } from '../../../../support/host/jars.ts';
import { memoryStore } from '../../../../support/host/store.ts';
import { namesBelow, temporaryDirectory } from '../../../../support/host/temporary.ts';

/** What other users can do to the files that `adopt` names: root publishes nothing else for them. */

const SERVICE = 65534;
const isRoot = process.getuid?.() === 0;
const SECRET = 'the secret of another user';

const refused = (message: RegExp) => ({ code: 'PACKAGE_INVALID', message: expect.stringMatching(message) });

/** A directory where others can write, and a private file elsewhere. */
async function places() {
  const home = join(await temporaryDirectory(), 'legacy');
  await mkdir(home);
  await chmod(home, 0o777);
  const secret = join(await temporaryDirectory(), 'secret');
  await writeFile(secret, SECRET, { mode: 0o600 });
  return { home, secret };
}

const jarAt = (path: string) => jarService({ adopt: { path, version: '0.9' } });

async function archiveAt(path: string) {
  const dir = join(await temporaryDirectory(), 'opt', 'web');
  const adopt = { path, version: '0.9' };
  return {
    dir,
    archive: createArchivePackage({ service: 'web', dir, keep: 3, store: memoryStore(), adopt }),
  };
}

async function expectRefused(pkg: PackageType, dir: string, message: RegExp) {
  expect(await pkg.inspect()).toEqual([
    { ok: false, what: expect.stringMatching(message), hint: expect.anything() },
  ]);
  await expect(pkg.adopt(calm)).rejects.toMatchObject(refused(message));
  expect((await namesBelow(dir)).filter((name) => !['.staging', 'releases'].includes(name))).toEqual([]);
}

/** Runs `first` before each call of a function of node:fs/promises, with the path of the call. */
function before(call: 'open' | 'copyFile', first: (path: string) => Promise<unknown>): void {
  const real = promises[call] as (...args: unknown[]) => Promise<unknown>;
  const put = (value: unknown) => {
    Object.assign(promises, { [call]: value });
    syncBuiltinESMExports();
  };
  put(async (...args: unknown[]) => {
    await first(String(args[0]));
    return await real(...args);
  });
  onTestFinished(() => put(real));
}

test('a link in a directory that others can write to is not followed, wherever it is in the path', async () => {
  const { home, secret } = await places();
  await symlink(secret, join(home, 'app.jar'));
  await symlink(dirname(secret), join(home, 'lib'));
  await mkdir(join(home, 'own'));
  await symlink(secret, join(home, 'own', 'app.jar'));
  for (const name of ['app.jar', 'lib/secret', 'own/app.jar']) {
    const { dir, jar } = await jarAt(join(home, name));
    await expectRefused(jar, dir, /is a link in .*, where others can write/);
  }
  const { dir, archive } = await archiveAt(join(home, 'lib'));
  await expectRefused(archive, dir, /is a link in .*, where others can write/);
});

test('a link that only the agent could have made is followed', async () => {
  const directory = await temporaryDirectory();
  await writeFile(join(directory, 'app-1.jar'), 'the old jar', { mode: 0o644 });
  await symlink('app-1.jar', join(directory, 'app.jar'));
  const { dir, jar } = await jarAt(join(directory, 'app.jar'));
  expect(await jar.adopt(calm)).toBe('0.9');
  expect(await readFile(join(dir, 'current', 'payments.jar'), 'utf8')).toBe('the old jar');
});

test.skipIf(!isRoot)('in a directory with the sticky bit the owner of a link decides', async () => {
  const { home, secret } = await places();
  await chmod(home, 0o1777);
  await symlink(secret, join(home, 'app.jar'));
  expect(await (await jarAt(join(home, 'app.jar'))).jar.adopt(calm)).toBe('0.9');
  await lchown(join(home, 'app.jar'), SERVICE, SERVICE);
  const { dir, jar } = await jarAt(join(home, 'app.jar'));
  await expectRefused(jar, dir, /is a link/);
});

test('a private file of another user is not adopted through a hard link', async () => {
  const { home, secret } = await places();
  await link(secret, join(home, 'app.jar'));
  const one = await jarAt(join(home, 'app.jar'));
  await expectRefused(one.jar, one.dir, /is a hard link to a private file/);
  const { dir, archive } = await archiveAt(home);
  await expectRefused(archive, dir, /is a hard link to a private file/);
  await chmod(secret, 0o644);
  expect(await archive.adopt(calm)).toBe('0.9');
});

test.skipIf(!isRoot)('a hard link to a file of the owner of the directory is adopted', async () => {
  const { home } = await places();
  await writeFile(join(home, 'a'), 'mine', { mode: 0o600 });
  await link(join(home, 'a'), join(home, 'b'));
  for (const path of [home, join(home, 'a')]) await chown(path, SERVICE, SERVICE);
  const { dir, archive } = await archiveAt(home);
  expect(await archive.adopt(calm)).toBe('0.9');
  const { uid, mode } = await stat(join(dir, 'current', 'b'));
  expect({ uid, mode: mode & 0o777 }).toEqual({ uid: SERVICE, mode: 0o600 });
  expect((await stat(join(dir, 'current', '.'))).uid).toBe(0);
});

test.skipIf(!isRoot)(
  'a private jar keeps its mode and owner; one that all can read is given to root',
  async () => {
    const { home } = await places();
    const path = join(home, 'app.jar');
    for (const [mode, owner] of [
      [0o600, SERVICE],
      [0o640, SERVICE],
      [0o644, 0],
    ] as const) {
      await writeFile(path, 'the old jar');
      await chown(path, SERVICE, SERVICE);
      await chmod(path, mode);
      const { dir, jar } = await jarAt(path);
      await jar.adopt(calm);
      const found = await stat(join(dir, 'current', 'payments.jar'));
      expect({ mode: found.mode & 0o777, uid: found.uid }).toEqual({ mode, uid: owner });
    }
  },
);

test('a file that is replaced after it was judged is copied as it was', async () => {
  const { home, secret } = await places();
  const path = join(home, 'app.jar');
  await writeFile(path, 'the old jar', { mode: 0o644 });
  const { dir, jar } = await jarAt(path);
  before('copyFile', async () => {
    await rm(path);
    await symlink(secret, path);
  });
  await jar.adopt(calm);
  expect(await readFile(join(dir, 'current', 'payments.jar'), 'utf8')).toBe('the old jar');
});

test.each(['run', 'etc'])(
  'an entry of a tree (%s) that becomes a link before it is opened is not followed',
  async (name) => {
    const { home, secret } = await places();
    await mkdir(join(home, 'etc'));
    await writeFile(join(home, 'run'), '');
    const { dir, archive } = await archiveAt(home);
    expect(await archive.inspect()).toEqual([]);
    before('open', async (path) => {
      if (!path.endsWith(`/${name}`)) return;
      await rm(join(home, name), { recursive: true });
      await symlink(name === 'run' ? secret : dirname(secret), join(home, name));
    });
    await expect(archive.adopt(calm)).rejects.toMatchObject(refused(/was replaced while it was read/));
    expect((await namesBelow(dir)).filter((one) => !['.staging', 'releases'].includes(one))).toEqual([]);
  },
);

test('a tree that is too deep is refused', async () => {
  const { home } = await places();
  await mkdir(join(home, ...Array.from({ length: 250 }, () => 'd')), { recursive: true });
  const { dir, archive } = await archiveAt(home);
  await expectRefused(archive, dir, /more than 200 directories deep/);
});
