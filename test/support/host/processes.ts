import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProcess } from '../../../agent/host/process/proc.ts';

/** Whether a process runs; a zombie does not. */
export async function runs(pid: number): Promise<boolean> {
  return (await findProcess(pid)) !== undefined;
}

/** Resolves once the process has ended. */
export async function ended(pid: number): Promise<void> {
  while (await runs(pid)) await sleep(10);
}

/** The number that a process writes to a file once it is up. */
export async function pidIn(file: string): Promise<number> {
  for (;;) {
    const pid = Number.parseInt(await readFile(file, 'utf8').catch(() => ''), 10);
    if (pid > 0) return pid;
    await sleep(10);
  }
}
