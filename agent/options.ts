/** What a command line of the agent says. Pure. */

export const DEFAULT_CONFIG_PATH = '/etc/trigger-deploy/agent.yaml';

export interface Common {
  config: string;
  verbose: boolean;
}

interface OrderOptions extends Common {
  service: string;
  version: string | undefined;
  noWait: boolean;
}

export type Options =
  | (Common & { command: 'run' })
  | (Common & { command: 'check'; json: boolean })
  | (Common & { command: 'leave' })
  | (Common & { command: 'status'; json: boolean; offline: boolean })
  | (OrderOptions & { command: 'deploy'; files: string[] })
  | (OrderOptions & { command: 'rollback' });

/**
 * The options of a plain `run`, as the unit starts it; undefined for every other command line, which yargs reads. The
 * agent runs for months: the code that reads command lines would take memory for as long.
 */
export function runOptions(argv: readonly string[], config: string): Options | undefined {
  const [command, option, path, ...more] = argv;
  if (command !== 'run' || more.length > 0) return undefined;
  if (option === undefined) return { command, config, verbose: false };
  if (option === '--config' && path !== undefined && path !== '' && !path.startsWith('-')) {
    return { command, config: path, verbose: false };
  }
  return undefined;
}
