import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect } from 'vitest';
import { swept } from '../../../../agent/host/fs/sweeper.ts';
import { createArchivePackage } from '../../../../agent/host/releases/archive.ts';
import { createJarPackage } from '../../../../agent/host/releases/jar.ts';
import type { Releases } from '../../../../agent/host/releases/releases.ts';
import type { Artifact } from '../../../../shared/manifest.ts';
import { type MemoryStore, memoryStore } from '../../../support/host/store.ts';
import { tarball } from '../../../support/host/tarball.ts';
import { jarText } from '../../../support/shared/zip.ts';
import type { Tmpfs } from './tmpfs.ts';
import { type PackageName, SERVICE } from './world.ts';

export const MB = 1024 * 1024;

/** A service whose directory is a small disk, with version 1 deployed. */
export interface SmallService {
  dir: string;
  pkg: Releases;
  store: MemoryStore;
  prepare(
    version: string,
    artifact: Artifact,
    note?: (text: string) => void,
  ): Promise<{ downloaded: number }>;
  /** Version 1 is current and whole, staging is empty, and `free` is free again. */
  expectUntouched(free: { bytes: number; inodes: number }): Promise<void>;
  /** Deploys the artifact after all. */
  expectDeployable(version: string, artifact: Artifact): Promise<void>;
}

/** A package of this type: random bytes, which no compression makes smaller. */
export function packageOf(type: PackageName, store: MemoryStore, bytes: number): Artifact {
  const body = randomBytes(bytes / 2).toString('hex');
  if (type === 'jar') return store.put(`${SERVICE}.jar`, jarText(body));
  return store.put(`${SERVICE}.tar`, tarball([{ path: 'lib/blob', body }]));
}

export async function smallService(type: PackageName, disk: Tmpfs): Promise<SmallService> {
  const store = memoryStore();
  const create = type === 'jar' ? createJarPackage : createArchivePackage;
  const dir = join(disk.dir, SERVICE);
  const pkg = create({ service: SERVICE, dir, keep: 3, store });
  const prepare: SmallService['prepare'] = (version, artifact, note = () => {}) => {
    const order = { service: SERVICE, version, artifacts: [artifact], fresh: false };
    return pkg.prepare(order, note, new AbortController().signal);
  };
  await prepare('1', packageOf(type, store, 1000));
  await pkg.switchTo('1');
  // The staging of version 1 is removed in the background: until then less is free.
  await swept();
  const listed = async () => (await pkg.releases()).map(({ version }) => version).sort();
  return {
    dir,
    pkg,
    store,
    prepare,
    async expectUntouched(free) {
      await swept();
      expect(await pkg.current()).toBe('1');
      expect(await listed()).toEqual(['1']);
      expect((await readdir(dir)).sort()).toEqual(['.staging', 'current', 'releases']);
      expect(await readdir(join(dir, '.staging'))).toEqual([]);
      expect(disk.free()).toEqual(free);
    },
    async expectDeployable(version, artifact) {
      expect(await prepare(version, artifact)).toEqual({ downloaded: artifact.size });
      await pkg.switchTo(version);
      expect(await pkg.current()).toBe(version);
      expect(await listed()).toEqual(['1', version].sort());
    },
  };
}

/** So many small files. */
export function manyFiles(store: MemoryStore, count: number): Artifact {
  const files = Array.from({ length: count }, (_, n) => ({ path: `lib/${n}`, body: `${n}` }));
  return store.put(`${SERVICE}.tar.gz`, gzipSync(tarball(files)));
}

/** Files of zeros, next to nothing when they are packed. */
export function zeros(store: MemoryStore, files: number, each: number): Artifact {
  const entries = Array.from({ length: files }, (_, n) => ({ path: `lib/${n}`, body: '\0'.repeat(each) }));
  return store.put(`${SERVICE}.tar.gz`, gzipSync(tarball(entries)));
}
