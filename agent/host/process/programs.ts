import { access, constants, open, stat } from 'node:fs/promises';
import { asTriggerDeployError, messageOf } from '../../../shared/errors.ts';
import type { Finding } from '../../deploy/ports.ts';
import { systemCode } from '../fs/durable-files.ts';
import { runningAs } from './run-as.ts';
import { runCommand } from './run-command.ts';

/** Whether a command of the config could be run: its program and its user. Nothing is run but test(1). */

const TEST_MS = 10_000;
/** More than any first line of a script that a kernel reads. */
const FIRST_LINE_BYTES = 512;

/** A command of the config. */
export interface ConfiguredCommand {
  /** For people: `hook /usr/local/bin/drain`. */
  what: string;
  /** The program as it is in the config: an absolute path. */
  program: string;
  user?: string | undefined;
}

/** The problem of `command`; undefined if it could be run. `path` is where its program is now. */
export async function problemOf(
  { what, user }: ConfiguredCommand,
  path: string,
  signal: AbortSignal,
): Promise<Finding | undefined> {
  try {
    await runningAs(user, signal);
  } catch (error) {
    signal.throwIfAborted();
    const hint = asTriggerDeployError(error).hint ?? `useradd --system ${user}, or correct \`user\``;
    return { ok: false, what: `${what}: ${messageOf(error)}`, hint };
  }
  const problem = await whyNotRunnable(path, user, signal);
  if (problem === undefined) return undefined;
  return { ok: false, what: `${what}: ${problem.what}`, hint: problem.hint };
}

async function whyNotRunnable(path: string, user: string | undefined, signal: AbortSignal) {
  const found = await stat(path).catch((error: unknown) => systemCode(error) ?? messageOf(error));
  if (typeof found === 'string') {
    const isMissing = found === 'ENOENT' || found === 'ENOTDIR';
    // Whoever runs it may see what this user may not.
    if (!isMissing && user !== undefined) return undefined;
    return {
      what: isMissing ? `${path} does not exist` : `${path} cannot be read: ${found}`,
      hint: 'install it, or correct the path in agent.yaml',
    };
  }
  if (!found.isFile()) return { what: `${path} is not a program`, hint: 'correct the path in agent.yaml' };
  if (!(await isExecutable(path, user, signal))) {
    const who = user === undefined ? 'by the user of the agent' : `by ${user}`;
    return {
      what: `${path} cannot be executed ${who}`,
      hint: `chmod a+x ${path}, and to the directories above it`,
    };
  }
  const interpreter = await interpreterOf(path);
  if (interpreter === undefined || (await stat(interpreter).catch(() => undefined))) return undefined;
  return {
    what: `${path} needs ${JSON.stringify(interpreter)}, which does not exist`,
    hint: 'correct its first line; lines that end in CR LF have this effect, too',
  };
}

async function isExecutable(path: string, user: string | undefined, signal: AbortSignal): Promise<boolean> {
  if (user === undefined) {
    return await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
  }
  const { exitCode } = await runCommand(['test', '-x', path], { user, signal, timeout: TEST_MS });
  return exitCode === 0;
}

/** The interpreter that a script names in its first line: execve(2). */
async function interpreterOf(path: string): Promise<string | undefined> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(() => undefined);
  if (!handle) return undefined;
  try {
    const buffer = Buffer.alloc(FIRST_LINE_BYTES);
    const { bytesRead } = await handle.read(buffer, 0, FIRST_LINE_BYTES, 0);
    return /^#![ \t]*([^ \t\n]+)/.exec(buffer.toString('latin1', 0, bytesRead))?.[1];
  } finally {
    await handle.close();
  }
}
