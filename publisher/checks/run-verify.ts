import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { orAborted } from '../../shared/abort.ts';
import { cleanTail } from '../../shared/clean-text.ts';
import { formatMs } from '../../shared/duration.ts';
import { messageOf } from '../../shared/errors.ts';
import { deadline } from '../../shared/retry.ts';
import { TailBuffer } from '../../shared/tail-buffer.ts';

/**
 * Runs the command `verify` of the config on the machine of the publisher, from an argv array and without a shell. The
 * command is the person's own: it inherits all variables of this process. It leads its own process group, so that it
 * ends together with its children; Ctrl-C at a terminal does not reach it, and this program ends it instead.
 */

export interface VerifyCommand {
  run: readonly string[];
  /** The directory in which it runs. */
  cwd: string;
  /** Variables in addition to those of this process. */
  variables: Readonly<Record<string, string>>;
  /** ms */
  timeoutMs: number;
}

export interface VerifyResult {
  /** Why it did not pass: `exit code 3`; undefined when its exit code is 0. */
  why: string | undefined;
  /** The end of stdout and stderr together, cleaned. */
  output: string;
}

/** How much of the end of the output is kept, bytes: it becomes a part of the signed record. */
const OUTPUT_LIMIT = 4096;
/** Time from TERM to KILL, ms. */
const KILL_AFTER_MS = 5000;
/** How long to wait for the end of the output when the command has ended: its children may have the pipes open. */
const PIPE_GRACE_MS = 200;

/**
 * Runs the command until it ends, or ends its process group at the timeout. A command that cannot be started has not
 * passed. @throws the reason of `signal` when it aborts, after the process group was ended.
 */
export async function runVerify(command: VerifyCommand, signal: AbortSignal): Promise<VerifyResult> {
  signal.throwIfAborted();
  const { run, cwd, variables, timeoutMs } = command;
  const [file = '', ...args] = run;
  const child = execa(file, args, {
    ...{ cwd, env: { ...variables }, extendEnv: true, stdin: 'ignore', buffer: false, encoding: 'buffer' },
    ...{ reject: false, detached: true, cleanup: false },
  });
  const { pid } = child;
  const ended = child.then((result) => result);
  if (pid === undefined) {
    const result = await ended;
    return { why: `cannot run ${file}: ${result.originalMessage ?? messageOf(result.cause)}`, output: '' };
  }
  const killNow = () => signalGroup(pid, 'SIGKILL');
  process.once('exit', killNow);
  const kept = new TailBuffer(OUTPUT_LIMIT);
  const closed = [child.stdout, child.stderr].map(
    (stream) => new Promise<void>((resolve) => stream.once('close', resolve)),
  );
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => kept.push(chunk));
    stream.on('error', () => {});
  }
  const exited = new Promise<{ code: number | null; by: string | null }>((resolve) => {
    child.nodeChildProcess.once('exit', (code, by) => resolve({ code, by }));
  });
  try {
    using bound = deadline(timeoutMs, signal, 'verify');
    let late = false;
    try {
      await orAborted(exited, bound.signal);
    } catch (error) {
      late = bound.expired();
      await endGroup(pid, exited);
      if (!late) throw error;
    }
    const { code, by } = await exited;
    await orLater(Promise.all(closed), PIPE_GRACE_MS);
    const why = late ? `not finished after ${formatMs(timeoutMs)}` : by ? `ended by ${by}` : exitText(code);
    return { why, output: cleanTail(kept.text()) };
  } finally {
    process.off('exit', killNow);
    for (const stream of [child.stdout, child.stderr]) stream.destroy();
  }
}

const exitText = (code: number | null) => (code === 0 ? undefined : `exit code ${code}`);

/** Sends TERM to the group, and KILL to what is left of it once its leader has ended, or after `KILL_AFTER_MS`. */
async function endGroup(leader: number, exited: Promise<unknown>): Promise<void> {
  signalGroup(leader, 'SIGTERM');
  await orLater(exited, KILL_AFTER_MS);
  signalGroup(leader, 'SIGKILL');
}

function signalGroup(leader: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-leader, signal);
  } catch {
    // The group has ended.
  }
}

/** Resolves when `promise` does, or after `ms`. */
async function orLater(promise: Promise<unknown>, ms: number): Promise<void> {
  const timer = new AbortController();
  const late = sleep(ms, undefined, { signal: timer.signal }).catch(() => undefined);
  await Promise.race([promise, late]);
  timer.abort();
}

/** Why the program of `run` cannot be started, one line; undefined when it can. */
export async function whyNotRunnable(
  [program = '']: readonly string[],
  cwd: string,
  path = process.env.PATH ?? '',
): Promise<string | undefined> {
  const places = program.includes('/')
    ? [resolve(cwd, program)]
    : path.split(delimiter).map((directory) => join(resolve(cwd, directory), program));
  for (const place of places) {
    if (await isProgram(place)) return undefined;
  }
  const where = program.includes('/') ? `at ${places[0]}` : 'in the PATH';
  return `there is no executable ${program} ${where}`;
}

/** A directory is executable, too, and cannot be run. */
async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
