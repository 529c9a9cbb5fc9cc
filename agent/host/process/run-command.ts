import type { ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { NEVER } from '../../../shared/abort.ts';
import { cleanTail, DETAIL_LIMIT } from '../../../shared/clean-text.ts';
import { messageOf, TriggerDeployError } from '../../../shared/errors.ts';
import { TailBuffer } from '../../../shared/tail-buffer.ts';
import { isGroupAlive, signalGroup } from './proc.ts';
import { childEnvironment, runningAs } from './run-as.ts';

/**
 * Runs the agent's child processes, from an argv array and without a shell. Each runs in its own process group, so that
 * the agent can end it together with its children.
 */

export interface RunOptions {
  signal: AbortSignal;
  /** Time until TERM is sent to the whole group, ms. */
  timeout: number;
  cwd?: string | undefined;
  /** Variables in addition to the agent's own (see `childEnvironment`). */
  env?: Readonly<Record<string, string>> | undefined;
  /** Run as this user, with the user's groups. Needs root, unless it is the agent's own user. */
  user?: string | undefined;
  /** Time from TERM to KILL, ms. */
  killAfter?: number | undefined;
  /** How much of the end of stdout is kept, bytes. */
  stdoutLimit?: number | undefined;
  /** Called with the id of the process group, in the turn of the event loop in which the process starts. */
  begun?: ((group: number) => void) | undefined;
}

export type RunCommand = (argv: readonly string[], options: RunOptions) => Promise<RunResult>;

export interface RunResult {
  /** null when a signal ended it. */
  exitCode: number | null;
  timedOut: boolean;
  /** stdout and stderr interleaved, the last 16 KiB, without control characters. */
  output: string;
  /** The last `stdoutLimit` bytes of stdout, 1 MiB by default, unchanged. */
  stdout: string;
}

const STDOUT_LIMIT = 1024 * 1024;
/** How long to wait for the end of the output when the process has ended: its children may have the pipes open. */
const PIPE_GRACE_MS = 200;
const FIRST_POLL_MS = 10;
const LONGEST_POLL_MS = 200;
const KILL_AFTER_MS = 5000;
/** How long a process may take to end after KILL. It cannot while a file system hangs, or where KILL is not allowed. */
const ENDS_WITHIN_MS = 4000;

/**
 * Runs `argv` until it exits, with whatever exit code. At the timeout the whole process group is ended. If the command
 * exits in time, a process that it leaves behind (a daemon) is neither ended nor waited for. A command that does not
 * end after KILL is left running after 4 s more, and `output` says so.
 * @throws COMMAND_FAILED when the command cannot be started; the signal's reason, after the group is ended.
 */
export async function runCommand(argv: readonly string[], options: RunOptions): Promise<RunResult> {
  options.signal.throwIfAborted();
  const as = await runningAs(options.user, options.signal);
  const [file = '', ...args] = [...as.prefix, ...argv];
  const subprocess = execa(file, args, {
    env: { ...childEnvironment(process.env), ...as.environment, ...options.env },
    extendEnv: false,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    // The pipes are read below into bounded buffers.
    buffer: false,
    encoding: 'buffer',
    reject: false,
    // The process leads its own group and survives the agent: an update of the agent must not end services.
    detached: true,
    cleanup: false,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const { pid } = subprocess;
  if (pid === undefined) {
    const result = await subprocess;
    throw new TriggerDeployError('COMMAND_FAILED', `cannot run ${argv[0]}: ${originalMessage(result)}`);
  }
  options.begun?.(pid);
  const captured = capture(subprocess, options.stdoutLimit ?? STDOUT_LIMIT);
  const exited = exitOf(subprocess.nodeChildProcess);
  const outcome = await firstOf(exited, options);
  if (outcome !== 'exited') await endGroup(pid, options.killAfter);
  const runsStill =
    outcome !== 'exited' && (await firstOf(exited, { signal: NEVER, timeout: ENDS_WITHIN_MS })) !== 'exited';
  const exitCode = runsStill ? null : await exited;
  await Promise.race([captured.closed, sleep(PIPE_GRACE_MS, undefined, { ref: false })]);
  // Node may see the end of a process before its output, and the time may have passed while the agent was held up.
  // Before an immediate, Node reads all that is in the pipes.
  await setImmediate();
  captured.release();
  if (runsStill) subprocess.nodeChildProcess.unref();
  if (outcome === 'aborted') throw options.signal.reason;
  const output = captured.both.text();
  return {
    exitCode,
    timedOut: outcome === 'timed out',
    output: cleanTail(
      runsStill ? `${output}\nprocess ${pid} did not end after SIGKILL: it still runs\n` : output,
    ),
    stdout: captured.stdout.text(),
  };
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    child.once('exit', (code) => resolve(code));
  });
}

async function firstOf(
  exited: Promise<unknown>,
  { signal, timeout }: Pick<RunOptions, 'signal' | 'timeout'>,
): Promise<'exited' | 'timed out' | 'aborted'> {
  const { promise, resolve } = Promise.withResolvers<'timed out' | 'aborted'>();
  // After the agent was held up (a machine was suspended), the end of the process counts, if Node can see it by now.
  const timer = setTimeout(() => setImmediate().then(() => resolve('timed out')), timeout);
  const onAbort = () => resolve('aborted');
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([exited.then(() => 'exited' as const), promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

/**
 * Sends TERM to the whole group, even if its leader has ended; after `killAfter` ms sends KILL. Resolves when no
 * process of the group is alive, or after KILL was sent.
 */
export async function endGroup(leader: number, killAfter = KILL_AFTER_MS): Promise<void> {
  signalGroup(leader, 'SIGTERM');
  const end = performance.now() + killAfter;
  for (let pause = FIRST_POLL_MS; performance.now() < end; pause = Math.min(LONGEST_POLL_MS, 2 * pause)) {
    if (!(await isGroupAlive(leader))) return;
    await sleep(Math.min(pause, Math.max(0, end - performance.now())));
  }
  signalGroup(leader, 'SIGKILL');
}

/** Reads both pipes into bounded buffers. */
function capture(subprocess: { stdout: Readable; stderr: Readable }, stdoutLimit: number) {
  const stdout = new TailBuffer(stdoutLimit);
  const both = new TailBuffer(2 * DETAIL_LIMIT);
  const streams = [subprocess.stdout, subprocess.stderr];
  const closed = streams.map((stream) => new Promise<void>((resolve) => stream.once('close', resolve)));
  for (const stream of streams) {
    stream.on('data', (chunk: Buffer) => {
      if (stream === subprocess.stdout) stdout.push(chunk);
      both.push(chunk);
    });
    stream.on('error', () => {});
  }
  return {
    stdout,
    both,
    closed: Promise.all(closed),
    /**
     * Discards all further output, and lets the agent exit while the pipes are open. A daemon may have inherited the
     * pipes: if they were closed, SIGPIPE would end it; if its output were kept, it would fill the memory.
     */
    release() {
      for (const stream of streams) {
        stream.removeAllListeners('data');
        stream.resume();
        if ('unref' in stream && typeof stream.unref === 'function') stream.unref();
      }
    },
  };
}

function originalMessage(result: { cause?: unknown; originalMessage?: string | undefined }): string {
  return result.originalMessage ?? messageOf(result.cause);
}
