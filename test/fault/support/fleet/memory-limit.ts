import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A limit of memory from outside, as a small instance or `MemoryMax=` sets one: cgroups(7), both versions. */
export interface MemoryLimit {
  /** What a Node program gets in NODE_OPTIONS to be in the group from its first line on. */
  nodeOption: string;
  /** The processes in the group. */
  members(): number[];
  /** How many processes the kernel has killed, because the limit was reached. */
  kills(): number;
  /** Call it when no limited process runs any more. */
  remove(): void;
}

const ROOT = '/sys/fs/cgroup';
const KILLS = /^oom_kill (\d+)$/m;

/**
 * A group of at most so many bytes, below that of this process. Undefined where none can be made: in a container that
 * may not, and for a user who is not root.
 */
export function memoryLimit(bytes: number): MemoryLimit | undefined {
  for (const { directory, limit, events } of ownGroups()) {
    const group = join(directory, `trigger-deploy-${process.pid}`);
    const procs = join(group, 'cgroup.procs');
    const kills = () => Number(KILLS.exec(readFileSync(join(group, events), 'utf8'))?.[1]);
    const remove = () => rmdirSync(group);
    try {
      mkdirSync(group);
    } catch {
      continue;
    }
    try {
      writeFileSync(join(group, limit), String(bytes));
      if (!Number.isInteger(kills())) throw new Error(`${events} does not tell of kills`);
    } catch {
      remove();
      continue;
    }
    const joining = `import{writeFileSync}from'node:fs';writeFileSync(${JSON.stringify(procs)},String(process.pid))`;
    return {
      nodeOption: `--import=data:text/javascript,${encodeURIComponent(joining)}`,
      members: () => readFileSync(procs, 'utf8').split('\n').filter(Boolean).map(Number),
      ...{ kills, remove },
    };
  }
  return undefined;
}

/** The groups of this process that could limit memory, with their files. */
function ownGroups() {
  const lines = readFileSync('/proc/self/cgroup', 'utf8').split('\n');
  return lines.flatMap((line) => {
    const [id, controllers = '', path = ''] = line.split(':');
    if (controllers.split(',').includes('memory')) {
      const files = { limit: 'memory.limit_in_bytes', events: 'memory.oom_control' };
      return [{ directory: join(ROOT, 'memory', path), ...files }];
    }
    if (id !== '0') return [];
    return [{ directory: join(ROOT, path), limit: 'memory.max', events: 'memory.events' }];
  });
}

/** What of the process lies in memory, bytes. */
export function residentMemory(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}
