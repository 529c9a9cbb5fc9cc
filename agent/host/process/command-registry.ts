import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { orAborted } from '../../../shared/abort.ts';
import { readNoFollow, removeTree } from '../fs/durable-files.ts';
import { findProcess, findProcessNow } from './proc.ts';
import { endGroup, type RunCommand, runCommand } from './run-command.ts';

/**
 * The running commands, each a file below the state directory. After a kill of the agent its hook or start command
 * continues; the next agent starts no command before those have ended. Otherwise two copies of a hook would run in parallel,
 * or a late `stop` would end the service that was just started.
 *
 * The file is written in the same turn of the event loop in which the process starts: only a SIGKILL within that turn
 * leaves a process without a file.
 */
export interface CommandRegistry {
  /** `runCommand` for commands that may run again: after a kill of the agent a leftover is ended. */
  repeatable: RunCommand;
  /**
   * `runCommand` for commands that must not be interrupted (after an interrupted start the service might never be found
   * again): the next agent waits for a leftover until its timeout, and then ends it.
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
 * The commands of one service, with their files in `directory`, which holds nothing else. When `stopping` aborts,
 * waiting ends and the files of leftovers stay.
 */
export async function openCommandRegistry(
  directory: string,
  stopping: AbortSignal,
): Promise<CommandRegistry> {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const names = await readdir(directory).catch(() => []);
  const settled = Promise.all(names.map((name) => endLeftover(join(directory, name), boot, stopping)));
  // The caller of a command gets the error.
  settled.catch(() => {});

  const runner =
    (whenLeft: CommandEntry['whenLeft']): RunCommand =>
    async (argv, options) => {
      await orAborted(settled, options.signal);
      let entry: string | undefined;
      const begun = (group: number) => {
        entry = writeEntry(directory, { boot, group, whenLeft, until: Date.now() + options.timeout });
      };
      try {
        return await runCommand(argv, { ...options, begun });
      } finally {
        if (entry !== undefined) removeEntry(entry);
      }
    };
  return { repeatable: runner('end'), indivisible: runner('await') };
}

/** Writes no files: for the commands that only read, and for tests. */
export const UNREGISTERED: CommandRegistry = { repeatable: runCommand, indivisible: runCommand };

/** The path of the file; undefined on a full disk: then a leftover after a kill is not ended. */
function writeEntry(directory: string, command: Omit<CommandEntry, 'startTime'>): string | undefined {
  const startTime = findProcessNow(command.group)?.startTime;
  if (startTime === undefined) return undefined;
  const path = join(directory, `${command.group}.json`);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFileSync(path, JSON.stringify({ ...command, startTime } satisfies CommandEntry), { mode: 0o600 });
    return path;
  } catch {
    // A partial file is of no use, and many of them would fill the disk.
    removeEntry(path);
    return undefined;
  }
}

function removeEntry(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // The file system may be read-only: the next agent finds that the command has ended.
  }
}

/**
 * Ends a leftover command. Processes that outlive the leader of their group (daemons) were left on purpose: a command
 * is a leftover only while its leader, known by pid and start time, is alive.
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
  // If it cannot be removed, the next agent finds that the command has ended.
  await removeTree(path).catch(() => {});
}

async function readEntry(path: string): Promise<CommandEntry | undefined> {
  try {
    const text = await readNoFollow(path, ENTRY_LIMIT);
    return commandEntry.parse(JSON.parse(text?.toString('utf8') ?? ''));
  } catch {
    // Truncated by a kill during the write.
    return undefined;
  }
}
