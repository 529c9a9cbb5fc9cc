import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The two programs as processes: from source, or as bundled into the directory TRIGGER_DEPLOY_PROGRAMS. */

const bundles = process.env.TRIGGER_DEPLOY_PROGRAMS || undefined;
const source = (relative: string) => fileURLToPath(new URL(`../../${relative}`, import.meta.url));

export const PUBLISHER = bundles ? join(bundles, 'trigger-deploy.js') : source('publisher/main.ts');
export const AGENT = bundles ? join(bundles, 'trigger-deploy-agent.js') : source('agent/main.ts');

export interface Finished {
  /** null when a signal ended it. */
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Program {
  readonly process: ChildProcess;
  /** Everything on stdout so far. */
  stdout(): string;
  stderr(): string;
  /** Resolves with the first line of stdout, past or to come, that fits; rejects when the program ends before it. */
  line(which: (line: string) => boolean): Promise<string>;
  readonly finished: Promise<Finished>;
}

/** Files that the program writes to instead of this process's pipes. */
export interface Files {
  stdout?: string;
  stderr?: string;
}

export interface ProgramOptions {
  files?: Files;
  env: Record<string, string>;
  cwd: string;
  /** It writes to this process's own terminal or pipe: stdout and stderr stay empty here. */
  shown?: boolean;
  /** A file that stdout is copied to. */
  log?: string;
  /** In a process group of its own, as a shell starts what is typed: Ctrl-C is a signal to the whole group. */
  ownGroup?: boolean;
}

const fdOf = (file: string | undefined) => (file === undefined ? undefined : openSync(file, 'w'));

/** Starts `argv` under this Node, with no environment but `env` and what finds the system's programs. */
export function startProgram(argv: readonly string[], options: ProgramOptions): Program {
  const output = options.shown ? 'inherit' : 'pipe';
  const { PATH = '', NODE_COMPILE_CACHE } = process.env;
  const child = spawn(process.execPath, [...argv], {
    cwd: options.cwd,
    env: { PATH, HOME: options.cwd, ...(NODE_COMPILE_CACHE && { NODE_COMPILE_CACHE }), ...options.env },
    stdio: ['ignore', fdOf(options.files?.stdout) ?? output, fdOf(options.files?.stderr) ?? output],
    detached: options.ownGroup ?? false,
  });
  let stdout = '';
  let stderr = '';
  const watchers = new Set<() => void>();
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    for (const look of watchers) look();
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  if (options.log !== undefined) child.stdout?.pipe(createWriteStream(options.log, { flags: 'a' }));
  const finished = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
  return {
    process: child,
    stdout: () => stdout,
    stderr: () => stderr,
    finished,
    line(which) {
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      let seen = 0;
      const look = () => {
        const lines = stdout.split('\n').slice(0, -1);
        const found = lines.slice(seen).find(which);
        seen = lines.length;
        if (found !== undefined) resolve(found);
      };
      watchers.add(look);
      look();
      void finished.then(({ code }) =>
        reject(new Error(`${argv.join(' ')} ended (${code}) without that line:\n${stdout}\n${stderr}`)),
      );
      return promise.finally(() => watchers.delete(look));
    },
  };
}
