import { execFileSync } from 'node:child_process';
import { chmod, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createArchivePackage } from '../../../../../agent/host/releases/archive.ts';
import { createJarPackage } from '../../../../../agent/host/releases/jar.ts';
import { calm } from '../../../../support/host/clock.ts';
import { memoryStore } from '../../../../support/host/store.ts';
import { tgz } from '../../../../support/host/tarball.ts';
import { temporaryDirectory } from '../../../../support/host/temporary.ts';
import { jarText } from '../../../../support/shared/zip.ts';

/** Who may read the config files of a release. */

/** A group that this process may give files to, which is not its own where it is root. */
const GROUP = process.getuid?.() === 0 ? 'nogroup' : execFileSync('id', ['-gn'], { encoding: 'utf8' }).trim();
const GID = Number(execFileSync('getent', ['group', GROUP], { encoding: 'utf8' }).split(':')[2]);

const TYPES = [
  ['jar', createJarPackage, jarText('jar')],
  ['archive', createArchivePackage, tgz([{ path: 'conf.env', body: 'packed', mode: 0o644 }])],
] as const;

async function service(create: (typeof TYPES)[number][1], bytes: string | Buffer, group?: string) {
  const dir = join(await temporaryDirectory(), 'payments');
  const store = memoryStore();
  const pkg = create({ service: 'payments', dir, keep: 3, store, group });
  const prepare = (version: string, fresh = false) =>
    pkg.prepare(
      {
        ...{ service: 'payments', version, fresh },
        artifacts: [
          store.put(create === createJarPackage ? 'a.jar' : 'a.tgz', bytes),
          { ...store.put('secret.env', 'KEY=1', 'config'), mode: 0o600 },
          { ...store.put('open.env', 'KEY=2', 'config'), mode: 0o666 },
          { ...store.put('run.sh', '#!/bin/sh', 'config'), mode: 0o755 },
          store.put('conf.env', 'of an older publisher', 'config'),
        ],
      },
      () => {},
      calm,
    );
  const filesOf = async (version: string) => {
    const found: Record<string, string> = {};
    for (const name of await readdir(join(dir, 'releases', version))) {
      const { mode, uid, gid } = await stat(join(dir, 'releases', version, name));
      if (/\.(env|sh)$/.test(name)) found[name] = `${(mode & 0o7777).toString(8)} ${uid} ${gid}`;
    }
    return found;
  };
  return { dir, pkg, prepare, filesOf };
}

const [UID, OWN] = [process.getuid?.(), process.getgid?.()];

test.each(TYPES)(
  'config files of a release (%s) are the agent’s alone, as they may hold secrets',
  async (_, create, bytes) => {
    const { prepare, filesOf } = await service(create, bytes);
    await prepare('1');
    const own = `600 ${UID} ${OWN}`;
    expect(await filesOf('1')).toEqual({
      ...{ 'secret.env': own, 'open.env': own, 'conf.env': own },
      'run.sh': `700 ${UID} ${OWN}`,
    });
  },
);

test.each(TYPES)(
  'with a group, config files (%s) are read by it, and by nobody else',
  async (_, create, bytes) => {
    const { prepare, filesOf } = await service(create, bytes, GROUP);
    await prepare('1');
    const shared = `640 ${UID} ${GID}`;
    expect(await filesOf('1')).toEqual({
      ...{ 'secret.env': shared, 'open.env': shared, 'conf.env': shared },
      'run.sh': `750 ${UID} ${GID}`,
    });
  },
);

test.each(TYPES)(
  'an unknown group is told by `check`, and refuses a deployment (%s)',
  async (_, create, bytes) => {
    const { dir, pkg, prepare } = await service(create, bytes, 'no-such-group');
    const hint = 'groupadd --system no-such-group, or correct `group` in agent.yaml';
    const what = 'there is no group no-such-group';
    expect(await pkg.inspect()).toEqual([{ ok: false, what, hint }]);
    await expect(prepare('1')).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: what, hint });
    await expect(readdir(dir)).rejects.toMatchObject({ code: 'ENOENT' });
  },
);

test.each(TYPES)(
  'a release (%s) from before, whose config files all could read, stays valid',
  async (_, create, bytes) => {
    const { dir, pkg, prepare } = await service(create, bytes, GROUP);
    await prepare('1');
    await pkg.switchTo('1');
    const release = join(dir, 'releases', '1');
    for (const name of ['secret.env', 'open.env', 'conf.env']) await chmod(join(release, name), 0o644);
    await chmod(join(release, 'run.sh'), 0o755);
    expect(await prepare('1')).toEqual({ downloaded: 0 });
    expect(await pkg.isWhole()).toBe(true);
    // Current: it is compared with the files of the order, and not replaced.
    await prepare('1', true);
    await writeFile(join(release, 'run.sh'), 'changed');
    await expect(prepare('1', true)).rejects.toMatchObject({ code: 'ARTIFACT_DIGEST_MISMATCH' });
  },
);
