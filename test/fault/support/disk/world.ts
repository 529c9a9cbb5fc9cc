import { mkdir, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { Journal, PackageType } from '../../../../agent/deploy/ports.ts';
import { initialState, type ServiceState, serviceState } from '../../../../agent/deploy/state.ts';
import { fsyncDirectory, syncTree } from '../../../../agent/host/fs/durable-files.ts';
import { createArchivePackage } from '../../../../agent/host/releases/archive.ts';
import { createJarPackage } from '../../../../agent/host/releases/jar.ts';
import type { Releases } from '../../../../agent/host/releases/releases.ts';
import { createJournal } from '../../../../agent/host/state/journal.ts';
import type { Artifact } from '../../../../shared/manifest.ts';
import { memoryStore } from '../../../support/host/store.ts';
import { tarball } from '../../../support/host/tarball.ts';
import { jarText } from '../../../support/shared/zip.ts';

/** What the disk tests deploy: small versions whose every byte is known, and a journal of known states. */

export const SERVICE = 'payments';
export const PACKAGE_TYPES = ['jar', 'archive'] as const;
export type PackageName = (typeof PACKAGE_TYPES)[number];

/** A release's files by their path within it: content, or `-> target` of a link. */
export type Contents = Record<string, string>;

const text = (version: string, name: string) => `${name} of ${version}\n`.repeat(40);

/** A service that ran before trigger-deploy, as version 0.9. */
export const ADOPTED = '0.9';

export function contentsOf(type: PackageName, version: string): Contents {
  // An adopted service has no configuration file of its own.
  const config = version === ADOPTED ? {} : { 'application-dev.yaml': text(version, 'config') };
  if (type === 'jar') return { ...config, [`${SERVICE}.jar`]: jarText(text(version, 'jar')) };
  return {
    ...config,
    'bin/run': text(version, 'run'),
    'lib/a.txt': text(version, 'a'),
    'lib/deep/b.txt': text(version, 'b'),
    'lib/hard.txt': text(version, 'a'),
    'lib/link.txt': '-> a.txt',
  };
}

function archiveOf(version: string): Buffer {
  return tarball([
    { path: 'bin', type: 'Directory', mode: 0o755 },
    { path: 'bin/run', body: text(version, 'run'), mode: 0o755 },
    { path: 'lib/a.txt', body: text(version, 'a') },
    { path: 'lib/deep/b.txt', body: text(version, 'b') },
    { path: 'lib/hard.txt', type: 'Link', linkpath: 'lib/a.txt' },
    { path: 'lib/link.txt', type: 'SymbolicLink', linkpath: 'a.txt' },
    { path: 'empty', type: 'Directory' },
  ]);
}

const store = memoryStore();

export function artifactsOf(type: PackageName, version: string): Artifact[] {
  const config = store.put('application-dev.yaml', text(version, 'config'), 'config');
  const main =
    type === 'jar'
      ? store.put(`${SERVICE}-${version}.jar`, jarText(text(version, 'jar')))
      : store.put(`${SERVICE}-${version}.tar`, archiveOf(version));
  return [main, config];
}

export function openPackage(
  type: PackageName,
  dir: string,
  { adopt, syncFrom }: { adopt?: string; syncFrom?: number } = {},
): Releases {
  const create = type === 'jar' ? createJarPackage : createArchivePackage;
  return create({
    service: SERVICE,
    dir,
    keep: 3,
    store,
    syncFrom,
    adopt: adopt === undefined ? undefined : { path: adopt, version: ADOPTED },
  });
}

export function prepare(pkg: PackageType, version: string, fresh = false): Promise<{ downloaded: number }> {
  const artifacts = artifactsOf(pkg.type as PackageName, version);
  const order = { service: SERVICE, version, artifacts, fresh };
  return pkg.prepare(order, () => {}, new AbortController().signal);
}

/** Makes what is to be adopted: a jar, or a directory. Durable. */
export async function layOutAdopted(type: PackageName, path: string): Promise<void> {
  for (const [name, content] of Object.entries(contentsOf(type, ADOPTED))) {
    const file = type === 'jar' ? path : join(path, name);
    await mkdir(dirname(file), { recursive: true });
    if (content.startsWith('-> ')) await symlink(content.slice(3), file);
    else await writeFile(file, content);
  }
  await syncTree(dirname(path));
  await fsyncDirectory(dirname(dirname(path)));
}

/** What is really in a release, its own record aside. */
export async function readContents(release: string): Promise<Contents> {
  const contents: Contents = {};
  for (const entry of await readdir(release, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = relative(release, path);
    if (name === '.release.json' || entry.isDirectory()) continue;
    contents[name] = entry.isSymbolicLink() ? `-> ${await readlink(path)}` : await readFile(path, 'utf8');
  }
  return contents;
}

const ULID = '01JDB200000000000000000000';

/** The n-th state of the journal; `size` is about its length, bytes. */
export function stateOf(n: number, size = 0): ServiceState {
  const note = 'x'.repeat(size);
  return { ...initialState('i-1', SERVICE), seen: { sequence: n, deployment: ULID }, note };
}

export function openJournal(path: string): Journal {
  return createJournal({ path, parse: (value) => serviceState.parse(value) });
}

export function numberOf(state: ServiceState | undefined): number {
  return state?.seen?.sequence ?? 0;
}
