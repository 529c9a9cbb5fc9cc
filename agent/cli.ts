import yargs, { type Argv } from 'yargs';
import { messageOf, TriggerDeployError } from '../shared/errors.ts';
import { serviceName } from '../shared/names.ts';
import type { Common, Options } from './options.ts';

/** Parses the command line. Nothing here uses the network or the file system. */

/**
 * The last value of an option that is given more than once. yargs has a setting for this, but it applies to all
 * arguments: yargs would then also drop every file of `<file..>` except the last.
 */
const last = (given: string | string[]): string => [given].flat().at(-1) ?? '';

/** The options of `deploy` and `rollback`. There, `--version` names a version of the service, not of the agent. */
function orderOptions<T>(parser: Argv<T>, versionHelp: string) {
  return parser
    .version(false)
    .option('version', { type: 'string', requiresArg: true, coerce: last, describe: versionHelp })
    .option('wait', {
      type: 'boolean',
      default: true,
      describe: 'Follow the order until it ends; --no-wait exits once the order is written',
    });
}

/**
 * Returns the options in `argv`; undefined after `--help` or `--version`, which yargs answers. Without `--config`, the
 * config file is `defaults.config`. The help shows `defaults.shown` as the default.
 * @throws USAGE.
 */
export async function parseCommandLine(
  argv: readonly string[],
  defaults: { version: string; config: string; shown: string },
): Promise<Options | undefined> {
  let found: Options | undefined;
  await yargs([...argv])
    .scriptName('trigger-deploy-agent')
    .locale('en')
    .usage(
      '$0 <command>\n\nThe trigger-deploy agent: deploys announced versions of the services in its config.',
    )
    .option('config', {
      type: 'string',
      requiresArg: true,
      default: defaults.config,
      defaultDescription: defaults.shown,
      coerce: last,
      describe: 'Config file; also TRIGGER_DEPLOY_AGENT_CONFIG',
    })
    .option('verbose', {
      type: 'boolean',
      default: false,
      describe: 'Log debug lines; print stack and causes of errors',
    })
    .command(
      'run',
      'Wait for announcements and deploy them (the command of the systemd unit)',
      (parser) => parser,
      (args) => {
        found = { command: 'run', ...commonOf(args) };
      },
    )
    .command(
      'check',
      'Check config, keys, AWS, permissions, units and paths; print every problem with a hint',
      (parser) => parser.option('json', { type: 'boolean', default: false, describe: 'Print JSON' }),
      (args) => {
        found = { command: 'check', json: args.json, ...commonOf(args) };
      },
    )
    .command(
      'status',
      'Show the services of this instance, their versions and states',
      (parser) =>
        parser.option('json', { type: 'boolean', default: false, describe: 'Print JSON' }).option('offline', {
          type: 'boolean',
          default: false,
          describe:
            'Do not contact AWS (by default it checks the SQS queue of this instance, for 3 s at most)',
        }),
      (args) => {
        found = { command: 'status', json: args.json, offline: args.offline, ...commonOf(args) };
      },
    )
    .command(
      'deploy <service> <file..>',
      'Deploy a file on this instance only, without AWS; the order expires after 1 h',
      (parser) =>
        orderOptions(parser, 'Version of the file (default: from the file, else from its name)')
          .positional('service', { type: 'string', demandOption: true, describe: 'A service in the config' })
          .positional('file', {
            type: 'string',
            array: true,
            demandOption: true,
            describe:
              'The package file (.deb, .jar or archive) first, then its config files (FILE or FILE=PATH/IN/RELEASE)',
          }),
      (args) => {
        found = {
          command: 'deploy',
          files: [...args.file].map(String),
          ...orderOptionsOf(args),
          ...commonOf(args),
        };
      },
    )
    .command(
      'rollback <service>',
      'Roll back on this instance only, without AWS; the order expires after 1 h',
      (parser) =>
        orderOptions(parser, 'A release on this instance (default: the previous good version)').positional(
          'service',
          {
            type: 'string',
            demandOption: true,
            describe: 'A service in the config',
          },
        ),
      (args) => {
        found = { command: 'rollback', ...orderOptionsOf(args), ...commonOf(args) };
      },
    )
    .command(
      'leave',
      'Remove the queue and the subscription of this instance, so that no deployment waits for it',
      (parser) => parser,
      (args) => {
        found = { command: 'leave', ...commonOf(args) };
      },
    )
    .example('$0 check', 'find problems before the first deployment')
    .example('$0 status --json', 'the same as status, for a script')
    .example('$0 rollback payments', 'roll back without AWS')
    .epilogue(
      'Exit codes: 0 success, 1 a problem was found or the order did not succeed, 2 wrong usage or config.',
    )
    .demandCommand(1, 1, 'missing command: run, check, status, deploy, rollback or leave')
    .strict()
    .version(defaults.version)
    .help()
    .exitProcess(false)
    .fail((message, error) => {
      if (error instanceof TriggerDeployError) throw error;
      throw new TriggerDeployError('USAGE', message ?? messageOf(error), {
        hint: 'see trigger-deploy-agent --help',
      });
    })
    .parseAsync();
  return found;
}

function commonOf(args: { config: string; verbose: boolean }): Common {
  return { config: args.config, verbose: args.verbose };
}

function orderOptionsOf(args: { service: string; version: string | undefined; wait: boolean }) {
  const service = serviceName.safeParse(args.service);
  if (!service.success) {
    throw new TriggerDeployError('USAGE', `${args.service}: ${service.error.issues[0]?.message}`);
  }
  return { service: service.data, version: args.version, noWait: !args.wait };
}
