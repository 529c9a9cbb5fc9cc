import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A fleet's processes are known by a variable in their environment, which whatever they start inherits: an
 * agent, the service it starts and leaves running, a start command that was ended before it wrote a pid file.
 * Neither a name nor a reused pid can be mistaken for it. Linux only: proc_pid_environ(5).
 */
const MARK = 'TRIGGER_DEPLOY_FLEET';

/** How long the kernel may take over a KILL. */
const KILLED_WITHIN_MS = 10_000;

/** The environment of a process that belongs to the fleet in `dir`. */
export function markOf(dir: string): Record<string, string> {
  return { [MARK]: dir };
}

/** The pids of the living processes of every fleet in `dir` or below it. */
export function markedProcesses(dir: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const mark = markAt(pid);
      return mark === dir || mark?.startsWith(`${dir}/`);
    });
}

/** What `pid` was started with, words parted by spaces: nothing of it when it has ended meanwhile. */
export function commandLineOf(pid: number): string {
  return readOf(pid, 'cmdline').replaceAll('\0', ' ').trim();
}

/** KILL to every one of them, and to what they start meanwhile, until there is none. */
export async function killMarked(dir: string): Promise<void> {
  for (let waited = 0; ; waited += 10) {
    const left = markedProcesses(dir);
    if (left.length === 0) return;
    if (waited > KILLED_WITHIN_MS) throw new Error(`still running after a KILL: ${left.join(', ')}`);
    for (const pid of left) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended by itself in between.
      }
    }
    await sleep(10);
  }
}

/** A zombie has no environment any more. */
function markAt(pid: number): string | undefined {
  const entry = readOf(pid, 'environ')
    .split('\0')
    .find((one) => one.startsWith(`${MARK}=`));
  return entry?.slice(MARK.length + 1);
}

/** Empty for a process that has ended, which it may do at any moment, or is another user's. */
function readOf(pid: number, name: 'environ' | 'cmdline'): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}
