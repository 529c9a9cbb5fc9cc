import yargs from 'yargs';
import { TriggerDeployError } from '../shared/errors.ts';

/** The command line as a value. Nothing here asks the network or the file system. */
export interface Options {
  command: CommandName;
  config: string;
  verbose: boolean;
  json: boolean;
}

const COMMANDS = {
  run: 'wait for announcements and deploy (what systemd runs)',
  check: 'look for everything that would go wrong: config, keys, AWS, units, paths',
  status: 'what this instance runs; --json for machines',
  leave: 'take this instance out: remove its queue and subscription',
} as const;
export type CommandName = keyof typeof COMMANDS;

/**
 * What `argv` asks for; undefined where `--help` or `--version` was all. `defaults.config` holds where no
 * `--config` is given, `defaults.shown` is what the help says of it.
 * @throws USAGE.
 */
export async function parseCommandLine(
  argv: readonly string[],
  defaults: { version: string; config: string; shown: string },
): Promise<Options | undefined> {
  const parser = yargs([...argv])
    .scriptName('trigger-deploy-agent')
    .usage(
      '$0 <command>\n\nThe agent of trigger-deploy: deploys what is announced for the services of its config.',
    );
  for (const [name, help] of Object.entries(COMMANDS)) parser.command(name, help);
  const parsed = await parser
    .option('config', {
      type: 'string',
      default: defaults.config,
      defaultDescription: defaults.shown,
      describe: 'agent.yaml; TRIGGER_DEPLOY_AGENT_CONFIG names it, too',
    })
    .option('verbose', {
      type: 'boolean',
      default: false,
      describe: 'say more: debug lines, causes of errors',
    })
    .option('json', { type: 'boolean', default: false, describe: 'with status: for machines' })
    .example('$0 check', 'is everything as it has to be?')
    .example('$0 run --config ./agent.yaml', 'run in the foreground')
    .example('$0 status --json', 'what runs here, for a script')
    .epilogue('Exit codes: 0 well, 1 something is wrong, 2 bad usage or config.')
    .demandCommand(1, 1, 'say what to do: run, check, status or leave')
    .strict()
    .version(defaults.version)
    .help()
    .exitProcess(false)
    .fail((message, error) => {
      throw (
        error ?? new TriggerDeployError('USAGE', message, { hint: 'trigger-deploy-agent --help shows how' })
      );
    })
    .parseAsync();
  const command = String(parsed._[0]);
  if (!isCommand(command)) return undefined;
  return { command, config: parsed.config, verbose: parsed.verbose, json: parsed.json };
}

function isCommand(word: string): word is CommandName {
  return Object.hasOwn(COMMANDS, word);
}
