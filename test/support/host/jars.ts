import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { createJarPackage } from '../../../agent/host/releases/jar.ts';
import type { Artifact } from '../../../shared/manifest.ts';
import { jarText } from '../shared/zip.ts';
import { calm } from './clock.ts';
import { memoryStore } from './store.ts';
import { temporaryDirectory } from './temporary.ts';

/** The jar service `payments`, in a directory that does not exist yet. */
export async function jarService(
  more: { dir?: string; keep?: number; adopt?: { path: string; version: string } } = {},
) {
  const dir = more.dir ?? join(await temporaryDirectory(), 'opt', 'payments');
  const store = memoryStore();
  const jar = createJarPackage({ service: 'payments', keep: 3, store, ...more, dir });
  const versions = (version: string) => [store.put(`payments-${version}.jar`, jarText(`jar ${version}`))];
  const prepare = (version: string, artifacts: readonly Artifact[] = versions(version), fresh = false) =>
    jar.prepare({ service: 'payments', version, artifacts, fresh }, () => {}, calm);
  return { dir, store, jar, prepare, versions };
}

/** A process that has the file open until the end of the test. */
export async function holdOpen(path: string): Promise<void> {
  const child = spawn('/bin/sh', ['-c', `exec 9< ${path}; echo up; exec sleep 300`], { stdio: 'pipe' });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
}
