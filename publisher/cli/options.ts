import yargs, { type Argv } from 'yargs';
import { TriggerDeployError } from '../../shared/errors.ts';

/** The commands and options as yargs knows them, with their help. */

const USAGE = {
  deploy: '<service> <version>',
  push: 'push <service> <version> <file..>',
  promote: 'promote <service> --from <env> --to <env>',
  rollback: 'rollback <service>',
  status: 'status [service]',
  history: 'history <service>',
  show: 'show <deployment>',
  watch: 'watch <deployment>',
  restart: 'restart <service>',
  pause: 'pause [service]',
  unpause: 'unpause [service]',
  plan: 'plan <service> <version>',
  confirm: 'confirm <deployment>',
  resume: 'resume <deployment>',
  cancel: 'cancel <deployment>',
  keygen: 'keygen',
} as const;
export type Verb = keyof typeof USAGE;

export function misused(verb: Verb, message: string, cause?: unknown): TriggerDeployError {
  return new TriggerDeployError('USAGE', message, {
    cause,
    hint: `usage: trigger-deploy ${USAGE[verb]}; trigger-deploy ${verb === 'deploy' ? '' : `${verb} `}--help shows examples`,
  });
}

/** Tells `choose` which command it was; the values are for `parse.ts` to check. */
export function buildParser(argv: readonly string[], columns: number, choose: (verb: Verb) => void): Argv {
  const verb = Object.keys(USAGE).find((one): one is Verb => one === argv[0]) ?? 'deploy';
  const string = (describe: string) => ({ type: 'string', requiresArg: true, describe }) as const;
  const positional = (describe: string) => ({ type: 'string', describe }) as const;
  const followed = (command: Argv) =>
    command
      .option('no-wait', {
        type: 'boolean',
        describe: 'Announce and leave; the desired state is moved first',
      })
      .option('timeout', string('How long to follow, such as 10m'))
      .option('reason', string('Why, for the history'))
      .option('allow-missing', string('How many instances may stay silent'))
      .option('queue', { type: 'boolean', describe: 'Wait in the line for whoever changes the service now' })
      .option('jump', { type: 'boolean', describe: 'Wait at the front of the line; needs --reason' });
  const staged = (command: Argv) =>
    command
      .option('strategy', string('all: every instance at once; rolling: canary and batches'))
      .option('canary', string('How many switch first, such as 1 or 5%'))
      .option('batch', string('How many then switch together, such as 4 or 25%'))
      .option('confirm', {
        type: 'boolean',
        describe: 'After the canary wait for a person: trigger-deploy confirm',
      })
      .option('auto-confirm', string('After the canary wait this long, and go on if nothing fails'))
      .option('pause-between', string('How long to wait between two waves, such as 30s'))
      .option('max-failures', string('How many may fail before all go back, such as 2 or 10%'))
      .option('on-failure', string('rollback: those that switched go back; stop: they stay'))
      .option('only', {
        ...string('Only this instance; may be repeated. The desired state stays'),
        array: true,
        nargs: 1,
      })
      .option('where', {
        ...string('Only instances with this tag, KEY=VALUE; may be repeated. The desired state stays'),
        array: true,
        nargs: 1,
      });
  return yargs([])
    .scriptName('trigger-deploy')
    .parserConfiguration({
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'dot-notation': false,
      'boolean-negation': false,
    })
    .detectLocale(false)
    .locale('en')
    .strict()
    .exitProcess(false)
    .version(false)
    .wrap(Math.max(60, Math.min(columns, 110)))
    .command(
      `$0 ${USAGE.deploy}`,
      'Deploy a version to every instance of a service',
      (command) =>
        staged(
          followed(
            command
              .positional('service', positional('The service'))
              .positional('version', positional('A pushed version, or latest')),
          ),
        )
          .example('$0 payments 1.4.2 -e prd --canary 1 --confirm --batch 25%', 'one, a look, then the rest')
          .example('$0 payments 1.4.3 -e stg --where stack=pr-1234', 'a pull request on its own instances')
          .example('$0 payments 1.4.2 --env dev', 'deploy and follow to the end')
          .example('$0 payments latest -e dev --reason "fix #4711"', 'the newest push')
          .example('$0 payments 1.4.4 -e prd --queue', 'after whatever is under way')
          .example('$0 payments 1.4.2 -e dev --no-wait', 'announce and leave'),
      () => choose('deploy'),
    )
    .command(
      USAGE.push,
      'Publish a version: a package and its config files',
      (command) =>
        staged(followed(command))
          .option('deploy', string('Deploy it to this environment as well: the other options are about that'))
          .positional('service', positional('The service'))
          .positional('version', positional('The version these files become, for good'))
          .positional('file', positional('The package (jar, tar, tar.gz), then config files'))
          .option('config', {
            ...string('A config file put beside the package; may be repeated'),
            array: true,
            nargs: 1,
          })
          .example('$0 push payments 1.4.2 target/payments.jar --env dev', 'a jar')
          .example(
            '$0 push payments 1.4.2 payments.jar --config application-dev.yaml',
            'to the environment named by home:',
          )
          .example('$0 push payments 1.4.3 payments.jar --deploy dev', 'what a build job calls'),
      () => choose('push'),
    )
    .command(
      'promote <service>',
      'Deploy to one environment what runs in another',
      (command) =>
        staged(followed(command.positional('service', positional('The service'))))
          .option('from', string('The environment where it runs'))
          .option('to', string('The environment that it is for'))
          .option(
            'version',
            string('This one, if it has succeeded there; what is desired there when left out'),
          )
          .option('config', {
            ...string('A config file of --to put beside the package; may be repeated'),
            array: true,
            nargs: 1,
          })
          .example('$0 promote payments --from dev --to stg', 'what dev runs')
          .example('$0 promote payments --from stg --to prd --canary 1 --batch 25%', 'in waves')
          .example(
            '$0 promote payments --from dev --to stg --config application-stg.yaml',
            'with its own config',
          ),
      () => choose('promote'),
    )
    .command(
      USAGE.rollback,
      'Go back to the version before',
      (command) =>
        followed(command.positional('service', positional('The service')))
          .option('to', string('The version to go back to; the one before when left out'))
          .option('despite-pause', { type: 'boolean', describe: 'Though it is paused; needs --reason' })
          .example('$0 rollback payments --env dev', 'the version before')
          .example('$0 rollback payments --to 1.4.0 -e dev --reason "slow"', 'a version of your choice'),
      () => choose('rollback'),
    )
    .command(
      USAGE.status,
      'Who is there, with what',
      (command) =>
        command
          .positional('service', positional('Only this service'))
          .option('all', { type: 'boolean', describe: 'Every environment of the config, side by side' })
          .example('$0 status --all', 'what runs where')
          .example('$0 status --env dev', 'everything')
          .example('$0 status payments -e dev --output json', 'one service, for a program'),
      () => choose('status'),
    )
    .command(
      USAGE.history,
      'The last deployments of a service',
      (command) =>
        command
          .positional('service', positional('The service'))
          .option('limit', { ...string('How many (20)'), alias: 'n' })
          .option('failed', { type: 'boolean', describe: 'Only those that did not succeed everywhere' })
          .option('since', string('Only those of the last 7d, 12h'))
          .example('$0 history payments -e prd --failed --since 7d', 'what went wrong this week')
          .example('$0 history payments --env dev -n 5', 'the last five'),
      () => choose('history'),
    )
    .command(
      USAGE.show,
      'All that is known of one deployment',
      (command) =>
        command
          .positional('deployment', positional('Its id, as history shows it'))
          .option('instance', string('Only this instance, with its whole log tail'))
          .example('$0 show 01JDB2Q0V7M3N8T5R9XKZC4W6H --env dev', 'with times, reasons and log tails')
          .example('$0 show 01JDB2Q0V7M3N8T5R9XKZC4W6H --instance i-0a1b2c3d --env dev', 'one instance'),
      () => choose('show'),
    )
    .command(
      USAGE.watch,
      'Follow a deployment to its end',
      (command) =>
        command
          .positional('deployment', positional('Its id'))
          .option('timeout', string('How long to follow, such as 10m'))
          .example('$0 watch 01JDB2Q0V7M3N8T5R9XKZC4W6H --env dev', 'after Ctrl-C or --no-wait'),
      () => choose('watch'),
    )
    .command(
      USAGE.restart,
      'Start what runs again, as a deployment goes: drained, checked, in waves',
      (command) =>
        staged(followed(command.positional('service', positional('The service')))).example(
          '$0 restart payments -e prd --batch 25%',
          'a quarter of the instances at a time',
        ),
      () => choose('restart'),
    )
    .command(
      USAGE.pause,
      'Let nothing new be deployed until somebody unpauses',
      (command) =>
        command
          .positional('service', positional('Only this service; the whole environment when left out'))
          .option('reason', string('Why, for whoever is stopped by it'))
          .example('$0 pause --env prd --reason "quarter end"', 'everything')
          .example('$0 pause payments -e prd --reason "incident 4711"', 'one service'),
      () => choose('pause'),
    )
    .command(
      USAGE.unpause,
      'Lift a pause',
      (command) =>
        command
          .positional('service', positional('Only this service’s own pause'))
          .option('reason', string('Why, for the record'))
          .example('$0 unpause --env prd', 'rollouts that stood still go on'),
      () => choose('unpause'),
    )
    .command(
      USAGE.plan,
      'Show the waves of a deployment, and change nothing',
      (command) =>
        staged(
          command
            .positional('service', positional('The service'))
            .positional('version', positional('A pushed version, or latest')),
        ).example('$0 plan payments 1.4.2 -e prd --canary 1 --batch 25%', 'who would switch when'),
      () => choose('plan'),
    )
    .command(
      USAGE.confirm,
      'Let a deployment go on that waits for a person',
      (command) =>
        command
          .positional('deployment', positional('Its id'))
          .option('reason', string('Why, for the history'))
          .example('$0 confirm 01JDB2Q0V7M3N8T5R9XKZC4W6H --env prd', ''),
      () => choose('confirm'),
    )
    .command(
      USAGE.resume,
      'Go on with a deployment in waves that nobody drives any more',
      (command) =>
        command
          .positional('deployment', positional('Its id'))
          .option('timeout', string('How long a wave may take, such as 10m'))
          .option('allow-missing', string('How many instances may be missing from now on'))
          .example('$0 resume 01JDB2Q0V7M3N8T5R9XKZC4W6H --env prd', 'from any machine'),
      () => choose('resume'),
    )
    .command(
      USAGE.cancel,
      'Call a deployment off: in waves until it is over, else before anything has switched',
      (command) =>
        command
          .positional('deployment', positional('Its id'))
          .option('reason', string('Why, for the history'))
          .example('$0 cancel 01JDB2Q0V7M3N8T5R9XKZC4W6H --env dev', 'in waves, what has switched goes back'),
      () => choose('cancel'),
    )
    .command(
      USAGE.keygen,
      'Make a pair of keys',
      (command) =>
        command
          .option('out', string('The directory to write into (.)'))
          .option('name', string('NAME.key.json and NAME.pub.json (ci)'))
          .example('$0 keygen --out ~/.config/trigger-deploy --name ci', ''),
      () => choose('keygen'),
    )
    .option('env', { ...string('The environment; else TRIGGER_DEPLOY_ENV'), alias: 'e' })
    .option('output', string('table (a terminal), lines (a pipe) or json'))
    .option('config-file', string('Read this instead of looking for trigger-deploy.yaml'))
    .option('verbose', { type: 'boolean', describe: 'Show the causes of an error' })
    .help()
    .epilogue(
      '--version shows the version.\nExit codes: 0 succeeded, 1 failed or rolled back, 2 bad usage or config, 3 timed out or silent, 4 refused.',
    )
    .fail((message, error) => {
      throw misused(
        verb,
        plainWords(message ?? error?.message ?? 'wrong arguments', argv),
        error ?? undefined,
      );
    });
}

/** yargs' messages in this program's words. */
function plainWords(message: string, argv: readonly string[]): string {
  if (message.startsWith('Not enough non-option arguments')) return 'something is missing';
  const valueless = /^Not enough arguments following: (.+)$/.exec(message)?.[1];
  if (valueless !== undefined) return `${dashed(valueless)} needs a value`;
  const stray = /^Unknown arguments?: (.+)$/.exec(message)?.[1];
  if (stray === undefined) return message.replace(/\n+/g, ' ');
  const isOption = (word: string) => argv.some((one) => one.split('=')[0] === dashed(word));
  // yargs names an option twice, as it was typed and in camel case.
  const words = stray.split(', ').map((word) => (isOption(word) ? dashed(word) : word));
  const options = words.filter((word) => word.startsWith('-'));
  if (options.length > 0) return `there is no option ${options.join(', ')}`;
  return `too many arguments: ${words.join(' ')}`;
}

const dashed = (name: string) => (name.length === 1 ? `-${name}` : `--${name}`);
