import { copyFile, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import packageJson from '../../package.json' with { type: 'json' };
import { bundle, PROGRAMS, type ProgramName, root } from '../../systemd/bundle.ts';
import { type Chunks, type Compiled, openDescribed } from '../../systemd/chunk-files.ts';

/**
 * vitest's global set-up: the programs that tests start are bundled once, as they ship. From source each of the
 * thousands of starts would take four times as long.
 */

const CACHE = join(root, 'node_modules', '.cache', 'trigger-deploy');

let directory: string;

export async function setup(): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  directory = await mkdtemp(join(CACHE, 'programs-'));
  const names = Object.keys(PROGRAMS) as ProgramName[];
  const [failure] = (await Promise.allSettled(names.map(make))).filter((one) => one.status === 'rejected');
  // One program that cannot be bundled fails the tests that start it, from source; the others run.
  if (failure === undefined) process.env.TRIGGER_DEPLOY_PROGRAMS = directory;
  process.env.NODE_COMPILE_CACHE = join(directory, 'compiled');
}

async function make(name: ProgramName): Promise<void> {
  await bundle(name, { directory, version: packageJson.version, sourcemap: true });
  const compiled = join(directory, `${name}.compiled`);
  const kept = join(CACHE, `${name}.compiled`);
  if (isCompiled(name, kept)) return await copyFile(kept, compiled);
  await execa(process.execPath, [join(directory, `${name}.compile.js`)], { stdin: 'ignore' });
  await copyFile(compiled, `${kept}.${process.pid}`);
  await rename(`${kept}.${process.pid}`, kept);
}

/** Whether an earlier run of tests left the compiled code of this bundle. */
function isCompiled(name: ProgramName, kept: string): boolean {
  try {
    const { digest } = openDescribed<Chunks>(join(directory, `${name}.chunks`)).head;
    return openDescribed<Compiled>(kept).head.for === `${digest} ${process.version} ${process.arch}`;
  } catch {
    return false;
  }
}

export async function teardown(): Promise<void> {
  // A program that was ended just now may still write what it has compiled.
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
}
