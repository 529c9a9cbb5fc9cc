import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Nothing of a benchmark stays, however it ends: neither processes nor files. A process belongs to a directory when its
 * HOME is there: agents hand it on to the services that they start, which outlive them.
 */

/** How often processes are ended until none is left, and the pause, ms. */
const TRIES = 250;
const PAUSE_MS = 20;

const directories = new Set<string>();

/** An empty directory, which `cleanUp` removes. */
export async function makeDirectory(name: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), `trigger-deploy-${name}-`));
  directories.add(directory);
  return directory;
}

/** Ends the processes that belong to the directory, and removes it, or keeps its files. */
export function closeDirectory(directory: string, files: 'remove' | 'keep' = 'remove'): void {
  endAll(() => processesOf(directory));
  directories.delete(directory);
  if (files === 'remove') rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
}

/** Ends the processes of all directories and `others`, and removes the directories. */
export function cleanUp(others: () => readonly number[]): void {
  endAll(others);
  for (const directory of directories) closeDirectory(directory);
}

/** Sends SIGKILL until there are none. Synchronous: nothing else can begin meanwhile, and it works while Node exits. */
export function endAll(pids: () => readonly number[]): void {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const left = pids();
    if (left.length === 0) return;
    for (const pid of left) kill(pid);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** proc_pid_environ(5): the variables that a process was started with. */
function processesOf(directory: string): number[] {
  const pids = readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && pid !== process.pid);
  return pids.filter((pid) => {
    const home = variablesOf(pid)
      .find((one) => one.startsWith('HOME='))
      ?.slice('HOME='.length);
    return home !== undefined && `${home}/`.startsWith(`${directory}/`);
  });
}

/** None of a process that has ended, or that belongs to another user. */
function variablesOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
