import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { readNoFollow, removeTree } from '../fs/durable-files.ts';
import { findProcess, findProcessNow } from './proc.ts';
import { endGroup, type RunCommand, runCommand } from './run-command.ts';

/**
 * The commands under way, each a file below the state directory. An agent that is killed leaves the hook, or the
 * start command, that it was running to itself; the next agent begins no command before those have come to their
 * end. Otherwise two copies of a hook run side by side, or a belated `stop` ends what was just started.
 *
 * The file is written in the turn in which the process starts: only a SIGKILL within that turn leaves a process
 * that nothing is known of.
 */
export interface CommandRegistry {
  /** `runCommand` for what may be run again: what a killed agent leaves of it is ended. */
  repeatable: RunCommand;
  /**
   * `runCommand` for what must not be cut in two (a service whose start was cut might never be found again): what
   * a killed agent leaves of it is waited for, as long as its timeout says, and then ended.
   */
  indivisible: RunCommand;
}

const commandEntry = z.object({
  boot: z.string(),
  group: z.int().min(2),
  startTime: z.string(),
  whenLeft: z.enum(['end', 'await']),
  /** ms since the epoch. */
  until: z.number(),
});
type CommandEntry = z.infer<typeof commandEntry>;

const ENTRY_LIMIT = 4096;
const POLL_MS = 20;

/**
 * The commands of one service, noted in `directory`, which is theirs alone. When `stopping` aborts, nothing is
 * waited for any longer and what is left stays noted.
 */
export async function openCommandRegistry(
  directory: string,
  stopping: AbortSignal,
): Promise<CommandRegistry> {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const names = await readdir(directory).catch(() => []);
  const settled = Promise.all(names.map((name) => endLeftover(join(directory, name), boot, stopping)));
  // Whoever runs a command hears of it.
  settled.catch(() => {});

  const runner =
    (whenLeft: CommandEntry['whenLeft']): RunCommand =>
    async (argv, options) => {
      await orAborted(settled, options.signal);
      let noted: string | undefined;
      const begun = (group: number) => {
        noted = writeEntry(directory, { boot, group, whenLeft, until: Date.now() + options.timeout });
      };
      try {
        return await runCommand(argv, { ...options, begun });
      } finally {
        if (noted !== undefined) removeEntry(noted);
      }
    };
  return { repeatable: runner('end'), indivisible: runner('await') };
}

/** For whoever only looks, or stops before anything could be left: nothing is noted. */
export const UNREGISTERED: CommandRegistry = { repeatable: runCommand, indivisible: runCommand };

/** Where it was noted. On a full disk it is not: then it only lacks what would end it after a kill. */
function writeEntry(directory: string, command: Omit<CommandEntry, 'startTime'>): string | undefined {
  const startTime = findProcessNow(command.group)?.startTime;
  if (startTime === undefined) return undefined;
  const path = join(directory, `${command.group}.json`);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFileSync(path, JSON.stringify({ ...command, startTime } satisfies CommandEntry), { mode: 0o600 });
    return path;
  } catch {
    // Half a note is none, and thousands of them would fill the disk for good.
    removeEntry(path);
    return undefined;
  }
}

function removeEntry(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // A file system that is read-only by now: the next start finds that the command has ended.
  }
}

/**
 * Whatever outlives its leader was left running on purpose, as a daemon is: only where the leader itself, known by
 * pid and start time, still lives was the command cut off from its agent.
 */
async function endLeftover(path: string, boot: string, stopping: AbortSignal): Promise<void> {
  const left = await readEntry(path);
  const isUnderWay = async () =>
    left?.boot === boot && (await findProcess(left.group))?.startTime === left.startTime;
  if (left?.whenLeft === 'await') {
    while (Date.now() < left.until && (await isUnderWay())) {
      await sleep(POLL_MS, undefined, { signal: stopping });
    }
  }
  if (left && (await isUnderWay())) await endGroup(left.group);
  // Where it cannot be removed, the next start looks again, and finds that it has ended.
  await removeTree(path).catch(() => {});
}

async function readEntry(path: string): Promise<CommandEntry | undefined> {
  try {
    const text = await readNoFollow(path, ENTRY_LIMIT);
    return commandEntry.parse(JSON.parse(text?.toString('utf8') ?? ''));
  } catch {
    // Cut short by a kill in the moment of its writing.
    return undefined;
  }
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
