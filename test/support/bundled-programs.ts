import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import { bundle, PROGRAMS, type ProgramName, root } from '../../systemd/bundle.ts';

/**
 * vitest's global set-up: the programs that tests start are bundled once, as they ship. From source each of the
 * thousands of starts would take twice as long.
 */

const CACHE = join(root, 'node_modules', '.cache', 'trigger-deploy');

let directory: string;

export async function setup(): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  directory = await mkdtemp(join(CACHE, 'programs-'));
  // Without it, Node compiles each program twice at each start: as CommonJS, and when that fails as a module.
  await writeFile(join(directory, 'package.json'), '{ "type": "module" }');
  const names = Object.keys(PROGRAMS) as ProgramName[];
  const { version } = packageJson;
  const bundles = names.map((name) =>
    bundle(name, { outfile: join(directory, `${name}.js`), version, sourcemap: true }),
  );
  const [failure] = (await Promise.allSettled(bundles)).filter((one) => one.status === 'rejected');
  // One program that cannot be bundled fails the tests that start it, from source; the others run.
  if (failure === undefined) process.env.TRIGGER_DEPLOY_PROGRAMS = directory;
  process.env.NODE_COMPILE_CACHE = join(directory, 'compiled');
}

export async function teardown(): Promise<void> {
  // A program that was ended just now may still write what it has compiled.
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
}
