import { runCommand } from '../../../agent/host/process/run-command.ts';

/** Commands of this machine: argv arrays, bounded, and what they said when they fail. */

export interface CommandOptions {
  /** ms; 60 s by default. */
  timeout?: number;
  cwd?: string;
  env?: Record<string, string>;
}

/** What it wrote to stdout. @throws when it does not exit with 0, with everything it wrote last. */
export async function commandLine(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { timeout = 60_000, cwd, env } = options;
  const signal = new AbortController().signal;
  const result = await runCommand(argv, { signal, timeout, cwd, env });
  if (result.exitCode === 0) return result.stdout;
  const how = result.timedOut ? `did not end within ${timeout} ms` : `exited with ${result.exitCode}`;
  throw new Error(`${argv.join(' ')} ${how}:\n${result.output}`);
}

/**
 * argv of a command in mount and pid namespaces of its own that end with it, and it with this process, even if
 * this process is killed: no mount and no process of it can be left behind.
 */
export function confined(argv: readonly string[]): string[] {
  return [
    ...['setpriv', '--pdeathsig', 'KILL', '--'],
    ...[
      'unshare',
      '--mount',
      '--propagation',
      'private',
      '--pid',
      '--fork',
      '--kill-child=KILL',
      '--mount-proc',
    ],
    '--',
    ...argv,
  ];
}

export async function inNamespaces(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  return await commandLine(confined(argv), options);
}
