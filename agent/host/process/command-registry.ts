import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { orAborted } from '../../../shared/abort.ts';
import { readNoFollow } from '../fs/durable-files.ts';
import { removeLeftover } from '../fs/leftovers.ts';
import { findProcess, findProcessNow } from './proc.ts';
import { endGroup, type RunCommand, runCommand } from './run-command.ts';

/**
 * Runs the commands of one service and records each running command in a file below the state directory. When the agent
 * is killed, its hooks and start commands continue: they are leftovers. The next agent starts no command before all
 * leftovers have ended. Otherwise two copies of a hook could run in parallel, or a late `stop` could end the service
 * that was just started.
 *
 * The file is written in the turn of the event loop in which the process starts: only a SIGKILL within this turn leaves
 * a process without a file.
 */
export interface CommandRegistry {
  /** `runCommand` for commands that may run again, such as hooks: the next agent ends a leftover. */
  repeatable: RunCommand;
  /**
   * `runCommand` for commands that must not be interrupted: the next agent waits for a leftover until the command's own
   * timeout, then ends it. After an interrupted start command, for example, the service might never be found again.
   */
  indivisible: RunCommand;
}

const commandEntry = z.object({
  boot: z.string(),
  group: z.int().min(2),
  startTime: z.string(),
  whenLeft: z.enum(['end', 'await']),
  /** When the timeout of the command is over, ms since the epoch. */
  until: z.number(),
});
type CommandEntry = z.infer<typeof commandEntry>;

const ENTRY_LIMIT = 4096;
const POLL_MS = 20;

/**
 * Opens the registry of one service, and starts to end leftovers. `directory` contains the files of the commands and
 * nothing else. When `stopping` aborts, the wait for leftovers ends and their files stay.
 */
export async function openCommandRegistry(
  directory: string,
  stopping: AbortSignal,
): Promise<CommandRegistry> {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const names = await readdir(directory).catch(() => []);
  const settled = Promise.all(names.map((name) => endLeftover(join(directory, name), boot, stopping)));
  // Without this handler a rejection would end the agent. Each command throws the error to its caller.
  settled.catch(() => {});

  const runner =
    (whenLeft: CommandEntry['whenLeft']): RunCommand =>
    async (argv, options) => {
      await orAborted(settled, options.signal);
      let entry: Entry | undefined;
      const begun = (group: number) => {
        entry = writeEntry(directory, { boot, group, whenLeft, until: Date.now() + options.timeout });
      };
      try {
        return await runCommand(argv, { ...options, begun });
      } finally {
        // A command that does not end after KILL is a leftover for the next agent.
        if (entry && findProcessNow(entry.group)?.startTime !== entry.startTime) removeEntry(entry.path);
      }
    };
  return { repeatable: runner('end'), indivisible: runner('await') };
}

/** A registry that writes no files: for the agent's commands that deploy nothing, and for tests. */
export const UNREGISTERED: CommandRegistry = { repeatable: runCommand, indivisible: runCommand };

interface Entry {
  path: string;
  group: number;
  startTime: string;
}

/**
 * Returns the file, and the process that it is about. Undefined if the process has already ended, or if the file cannot
 * be written (the disk is full): then the next agent does not find a leftover.
 */
function writeEntry(directory: string, command: Omit<CommandEntry, 'startTime'>): Entry | undefined {
  const startTime = findProcessNow(command.group)?.startTime;
  if (startTime === undefined) return undefined;
  const path = join(directory, `${command.group}.json`);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFileSync(path, JSON.stringify({ ...command, startTime } satisfies CommandEntry), { mode: 0o600 });
    return { path, group: command.group, startTime };
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
    // The file system may be read-only. The next agent sees that the command has ended, and removes the file.
  }
}

/**
 * Waits for a leftover or ends it, as its file says. A command is a leftover only while the leader of its process group
 * is alive, identified by pid and start time. A process that outlives the leader is a daemon, which must continue.
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
  // If the file cannot be removed, the next agent sees that the command has ended.
  await removeLeftover(path);
}

async function readEntry(path: string): Promise<CommandEntry | undefined> {
  try {
    const text = await readNoFollow(path, ENTRY_LIMIT);
    return commandEntry.parse(JSON.parse(text?.toString('utf8') ?? ''));
  } catch {
    // A kill during the write may have truncated the file.
    return undefined;
  }
}
