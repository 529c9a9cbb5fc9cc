import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { Job, Mark } from './driver.ts';
import { type Event, eventsOf } from './events.ts';
import { type Op, traceProgram } from './trace.ts';
import type { Tree } from './tree.ts';

const DRIVER = fileURLToPath(new URL('driver.ts', import.meta.url));

/** Carries out the jobs in a process of their own; everything it did to the disk. */
export async function record(jobs: readonly Job[]): Promise<Op[]> {
  const directory = await mkdtemp(join(tmpdir(), 'td-jobs-'));
  try {
    await writeFile(join(directory, 'jobs'), JSON.stringify(jobs));
    return await traceProgram([DRIVER, join(directory, 'jobs')]);
  } finally {
    await rm(directory, { recursive: true });
  }
}

export function markOf({ op, phase }: Event): Mark | undefined {
  return op.op === 'mark' && phase === 'end' ? (JSON.parse(op.text) as Mark) : undefined;
}

export { eventsOf };

/** A directory in memory where there is one: thousands of states are laid out and opened. */
export async function quickDirectory(): Promise<string> {
  const inMemory = await mkdtemp('/dev/shm/td-disk-').catch(() => undefined);
  const directory = inMemory ?? (await mkdtemp(join(tmpdir(), 'td-disk-')));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Makes `tree` real in `directory`, which does not exist yet. */
export async function layOut(tree: Tree, directory: string): Promise<void> {
  await mkdir(directory);
  for (const [name, node] of tree) {
    const path = join(directory, name);
    if ('tree' in node) await layOut(node.tree, path);
    else if ('link' in node) await symlink(node.link, path);
    else await writeFile(path, node.file, { mode: node.executable ? 0o755 : 0o644 });
  }
}
