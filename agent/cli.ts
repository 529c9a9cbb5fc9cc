import yargs, { type Argv } from 'yargs';
import { messageOf, TriggerDeployError } from '../shared/errors.ts';
import { serviceName } from '../shared/names.ts';

/** The command line as a value. Nothing here asks the network or the file system. */

interface Common {
  config: string;
  verbose: boolean;
}

interface Ordered extends Common {
  service: string;
  version: string | undefined;
  noWait: boolean;
}

export type Options =
  | (Common & { command: 'run' })
  | (Common & { command: 'check' })
  | (Common & { command: 'leave' })
  | (Common & { command: 'status'; json: boolean; offline: boolean })
  | (Ordered & { command: 'deploy'; files: string[] })
  | (Ordered & { command: 'rollback' });
export type CommandName = Options['command'];
export type OptionsOf<C extends CommandName> = Extract<Options, { command: C }>;

/** Of `deploy` and `rollback`, `--version` is the service's: the agent's own is told without a command. */
function ordering<T>(parser: Argv<T>, version: string) {
  return parser
    .version(false)
    .option('version', { type: 'string', requiresArg: true, describe: version })
    .option('wait', { type: 'boolean', default: true, describe: 'follow it to its end; --no-wait does not' });
}

/**
 * What `argv` asks for; undefined where `--help` or `--version` was all. `defaults.config` holds where no
 * `--config` is given, `defaults.shown` is what the help says of it.
 * @throws USAGE.
 */
export async function parseCommandLine(
  argv: readonly string[],
  defaults: { version: string; config: string; shown: string },
): Promise<Options | undefined> {
  let found: Options | undefined;
  await yargs([...argv])
    .scriptName('trigger-deploy-agent')
    .usage(
      '$0 <command>\n\nThe agent of trigger-deploy: deploys what is announced for the services of its config.',
    )
    .parserConfiguration({ 'duplicate-arguments-array': false })
    .option('config', {
      type: 'string',
      requiresArg: true,
      default: defaults.config,
      defaultDescription: defaults.shown,
      describe: 'agent.yaml; TRIGGER_DEPLOY_AGENT_CONFIG names it, too',
    })
    .option('verbose', {
      type: 'boolean',
      default: false,
      describe: 'say more: debug lines, causes of errors',
    })
    .command(
      'run',
      'wait for announcements and deploy (what systemd runs)',
      (parser) => parser,
      (said) => {
        found = { command: 'run', ...commonOf(said) };
      },
    )
    .command(
      'check',
      'look for everything that would go wrong: config, keys, AWS, units, paths',
      (parser) => parser,
      (said) => {
        found = { command: 'check', ...commonOf(said) };
      },
    )
    .command(
      'status',
      'what this instance runs, and how it is',
      (parser) =>
        parser
          .option('json', { type: 'boolean', default: false, describe: 'for machines' })
          .option('offline', { type: 'boolean', default: false, describe: 'ask nothing of AWS' }),
      (said) => {
        found = { command: 'status', json: said.json, offline: said.offline, ...commonOf(said) };
      },
    )
    .command(
      'deploy <service> <file..>',
      'deploy a file on this instance alone, without the cloud',
      (parser) =>
        ordering(parser, 'of the file, where its name does not say it')
          .positional('service', { type: 'string', demandOption: true, describe: 'a service of the config' })
          .positional('file', {
            type: 'string',
            array: true,
            demandOption: true,
            describe: 'the package, then config files',
          }),
      (said) => {
        found = { command: 'deploy', files: [...said.file].map(String), ...orderOf(said), ...commonOf(said) };
      },
    )
    .command(
      'rollback <service>',
      'back to what ran before, on this instance alone, without the cloud',
      (parser) =>
        ordering(parser, 'another version that is on this instance').positional('service', {
          type: 'string',
          demandOption: true,
          describe: 'a service of the config',
        }),
      (said) => {
        found = { command: 'rollback', ...orderOf(said), ...commonOf(said) };
      },
    )
    .command(
      'leave',
      'take this instance out: remove its queue and subscription',
      (parser) => parser,
      (said) => {
        found = { command: 'leave', ...commonOf(said) };
      },
    )
    .example('$0 check', 'is everything as it has to be?')
    .example('$0 status --json', 'what runs here, for a script')
    .example('$0 rollback payments', 'back, here and now, without AWS')
    .epilogue('Exit codes: 0 well, 1 something is wrong, 2 bad usage or config.')
    .demandCommand(1, 1, 'say what to do: run, check, status, deploy, rollback or leave')
    .strict()
    .version(defaults.version)
    .help()
    .exitProcess(false)
    .fail((message, error) => {
      if (error instanceof TriggerDeployError) throw error;
      throw new TriggerDeployError('USAGE', message ?? messageOf(error), {
        hint: 'trigger-deploy-agent --help shows how',
      });
    })
    .parseAsync();
  return found;
}

function commonOf(said: { config: string; verbose: boolean }): Common {
  return { config: said.config, verbose: said.verbose };
}

function orderOf(said: { service: string; version: string | undefined; wait: boolean }) {
  const service = serviceName.safeParse(said.service);
  if (!service.success) {
    throw new TriggerDeployError('USAGE', `${said.service}: ${service.error.issues[0]?.message}`);
  }
  return { service: service.data, version: said.version, noWait: !said.wait };
}
