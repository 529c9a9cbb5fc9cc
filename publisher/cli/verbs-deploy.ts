import { PACKAGE_TYPES } from '../../shared/package-types.ts';
import { deployOptions, followOptions } from './deploy-values.ts';
import {
  argument,
  environment,
  flag,
  list,
  optionName,
  service,
  text,
  value,
  version,
  versionOrLatest,
} from './option-kinds.ts';
import { following, rolling } from './option-sets.ts';
import { said, verb } from './verb.ts';

/** The verbs that change what runs. Each loads its command when it runs. */

const aService = argument(service, 'The service');
const configs = text.array().default([]);
const always = () => true;

export const deployVerbs = {
  deploy: verb({
    usage: '<service> <version>',
    summary: 'Deploy a version to every instance of a service',
    group: 'deploy',
    onPage: 'signs',
    options: {
      service: aService,
      version: argument(versionOrLatest, 'A pushed version, or latest: the newest push'),
      ...following,
      ...rolling,
    },
    examples: [
      ['$0 payments 1.4.2 --env dev', 'deploy and follow to the end'],
      ['$0 payments 1.4.2 -e prd --canary 1 --confirm --batch 25%', 'a canary, a confirmation, then batches'],
      ['$0 payments 1.4.3 -e stg --where stack=pr-1234', 'only the instances with this tag'],
      ['$0 payments latest -e dev --reason "fix #4711"', 'the newest push'],
      ['$0 payments 1.4.4 -e prd --queue', 'after the deployment that is under way'],
      ['$0 payments 1.4.2 -e dev --no-wait', 'announce, and exit without waiting'],
      ['$0 push payments 1.4.2 target/payments.jar -e dev', 'push a version'],
      ['$0 status --all', 'which version runs where'],
    ],
    notes: [
      'A first word that looks like a command is treated as a misspelt command, unless a version follows it or the config has a service of that name.',
      'To deploy a service whose name looks like a command, type -- before it: trigger-deploy -- SERVICE VERSION --env ENV',
    ].join('\n'),
    follows: always,
    async run(session, values, { gate, confirmEmpty, detach }) {
      const { deploy } = await import('../commands/deploy.ts');
      const { service, version, reason } = values;
      const options = { service, version, reason, ...deployOptions(session.env, values) };
      return await deploy(session, { ...options, gate, confirmEmpty, detach });
    },
  }),

  push: verb({
    usage: '<service> <version> <file..>',
    summary: 'Upload a package and its config files as a new version',
    group: 'deploy',
    options: {
      service: aService,
      version: argument(version, 'The name of the new version; its files can never be changed'),
      file: argument(text.array().min(1), 'The package, then its config files', { completes: 'file' }),
      config: list(configs, 'A config file, put beside the package, or FILE=PATH/IN/RELEASE (repeatable)', {
        completes: 'file',
      }),
      deploy: value(
        environment.optional(),
        'Also deploy the version to this environment (default: only push); required with any deployment option',
      ),
      ...following,
      ...rolling,
    },
    examples: [
      ['$0 push payments 1.4.2 target/payments.jar --env dev', 'a jar'],
      ['$0 push web 2.0.1 web.tar.gz --env dev', 'an archive'],
      [
        '$0 push payments 1.4.2 payments.jar --config application-dev.yaml',
        "to the config's home environment",
      ],
      [
        '$0 push payments 1.4.2 payments.jar --config prd.yaml=config/application.yaml',
        'with a config file in a directory of the release',
      ],
      ['$0 push payments 1.4.3 payments.jar --deploy dev', 'push and deploy, as in a build job'],
    ],
    notes: [
      "The package must have the type that the agent's config gives for the service:",
      ...Object.entries(PACKAGE_TYPES).map(([type, file]) => `  ${type.padEnd(8)} ${file}`),
    ].join('\n'),
    publishes: true,
    orHome: true,
    follows: ({ deploy }) => deploy !== undefined,
    environment: ({ deploy, env }) => deploy ?? env,
    refuse(values) {
      if (values.deploy !== undefined) return undefined;
      const keys = Object.keys({ ...following, ...rolling }) as (
        | keyof typeof following
        | keyof typeof rolling
      )[];
      const needless = keys.find((key) => values[key] !== undefined && values[key] !== false);
      return needless && `${optionName(needless)} needs --deploy ENV: push alone deploys nothing`;
    },
    async run(session, values, { format, gate, confirmEmpty, detach, printThing }) {
      const { service, version, file: files, config: configs, reason, deploy } = values;
      const [{ push, pushAndDeploy }, { pushLines, pushNote, pushJson }] = await Promise.all([
        import('../commands/push.ts'),
        import('../render/push.ts'),
      ]);
      const what = { service, version, files, configs };
      if (deploy === undefined) {
        const pushed = await push(session, what);
        return said(pushJson(pushed), () => pushLines(pushed));
      }
      const driving = { gate, confirmEmpty, detach };
      const options = { ...what, reason, ...deployOptions(session.env, values), ...driving };
      return await pushAndDeploy(session, options, (pushed) => {
        if (format === 'json') printThing(pushJson(pushed));
        else session.emit(pushNote(pushed, session.clock.now()));
      });
    },
  }),

  promote: verb({
    usage: '<service> --from <env> --to <env>',
    summary: 'Deploy the version of one environment to another',
    group: 'deploy',
    onPage: 'signs',
    options: {
      service: aService,
      from: value(environment, 'The environment where the version runs (required)'),
      to: value(environment, 'The environment to deploy to (required)'),
      version: value(
        version.optional(),
        'A version that has succeeded in --from (default: its desired version)',
      ),
      config: list(
        configs,
        'A config file of --to, put beside the package, or FILE=PATH/IN/RELEASE (repeatable)',
        {
          completes: 'file',
        },
      ),
      ...following,
      ...rolling,
    },
    examples: [
      ['$0 promote payments --from dev --to stg', 'the version that dev runs'],
      ['$0 promote payments --from stg --to prd --canary 1 --batch 25%', 'in waves'],
      [
        '$0 promote payments --from dev --to stg --config application-stg.yaml',
        'with the config file of stg',
      ],
    ],
    publishes: true,
    follows: always,
    environment: ({ to }) => to,
    async run(session, values, { gate, confirmEmpty, detach }) {
      const { promote } = await import('../commands/promote.ts');
      const { service, from, version, config: configs, reason } = values;
      const options = { service, from, version, configs, reason, ...deployOptions(session.env, values) };
      return await promote(session, { ...options, gate, confirmEmpty, detach });
    },
  }),

  rollback: verb({
    usage: '<service>',
    summary: 'Roll back to the previous version',
    group: 'deploy',
    onPage: 'signs',
    options: {
      service: aService,
      to: value(version.optional(), 'The version to roll back to (default: the previous one)'),
      despitePause: flag('Roll back even if the service is paused; needs --reason'),
      ...following,
    },
    examples: [
      ['$0 rollback payments --env dev', 'the previous version'],
      ['$0 rollback payments --to 1.4.0 -e dev --reason "slow"', 'a version of your choice'],
    ],
    follows: always,
    async run(session, values, { detach }) {
      const { rollback } = await import('../commands/rollback.ts');
      const { service, to, reason, despitePause } = values;
      const options = { service, to, reason, despitePause, ...followOptions(session.env, values) };
      return await rollback(session, { ...options, detach });
    },
  }),

  restart: verb({
    usage: '<service>',
    summary: 'Restart the running version (drain, checks, waves)',
    group: 'deploy',
    onPage: 'signs',
    options: { service: aService, ...following, ...rolling },
    examples: [['$0 restart payments -e prd --batch 25%', 'a quarter of the instances at a time']],
    follows: always,
    async run(session, values, { gate, confirmEmpty, detach }) {
      const { restart } = await import('../commands/restart.ts');
      const { service, reason } = values;
      const options = { service, reason, ...deployOptions(session.env, values) };
      return await restart(session, { ...options, gate, confirmEmpty, detach });
    },
  }),
};
