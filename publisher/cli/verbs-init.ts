import { homedir } from 'node:os';
import * as z from 'zod';
import { TriggerDeployError } from '../../shared/errors.ts';
import { choice, flag, list, optionName, positiveCount, text, value } from './option-kinds.ts';
import { type Answer, type Surroundings, verb } from './verb.ts';

/** The verb that sets an environment up in AWS, or prints it. It loads its commands when it runs. */

const account = text.regex(/^\d{12}$/, { error: 'expected the 12 digits of an AWS account' });
const arn = text.regex(/^arn:aws[a-z-]*:\S+$/, { error: 'expected an ARN' });

const FEATURES = ['logs', 'alarms', 'ec2', 'queue-tags', 'promote', 'gc'] as const;
const NAMED = ['targetGroup', 'autoScalingGroup', 'logBucket', 'instances'] as const;

const options = {
  region: value(text.optional(), 'The AWS region (default: as in the config)'),
  bucket: value(text.optional(), 'The name of the bucket (default: as in the config)'),
  role: value(text.optional(), 'The role to assume, an ARN (default: as in the config)'),
  bucketKey: value(arn.optional(), 'The KMS key that encrypts the bucket, an ARN (default: keys of S3)'),
  logDays: value(
    positiveCount.optional(),
    'Remove the logs of services from the bucket after so many days (default: they stay)',
  ),
  events: flag('A topic for notifications, too (default: only where the config names one)'),
  keys: value(
    text.optional(),
    'Create the signing key ENV.key.json and ENV.pub.json in this directory (default: no key)',
    { completes: 'directory' },
  ),
  writeConfig: flag('Write the environment into trigger-deploy.yaml (default: print what to add)'),
  yes: flag('Create and change without asking'),
  dryRun: flag('Show what would be created or changed, and change nothing'),
  print: choice(
    ['cloudformation', 'terraform', 'iam'],
    'Print the environment with its roles, or the policies alone: no call to AWS is made (default: set it up)',
  ),
  account: value(account.optional(), 'With --print: the AWS account (default: as in the config)'),
  principal: value(
    arn.optional(),
    'With --print: who may assume the roles but that of the instances, an ARN (default: whom IAM of the account allows)',
  ),
  signingKey: flag('With --print: a KMS key that signs (default: only where the config names one)'),
  writeAlarm: flag(
    'With --print: tell the topic for notifications when others than the publisher write signed documents',
  ),
  targetGroup: list(
    arn.array().optional(),
    'With --print: a target group of a service with traffic: (repeatable)',
  ),
  autoScalingGroup: list(
    text.array().optional(),
    'With --print: an Auto Scaling group whose lifecycle hooks the agents complete, * allowed (repeatable)',
  ),
  logBucket: list(text.array().optional(), 'With --print: another bucket for logs of services (repeatable)'),
  instances: list(
    text.array().optional(),
    'With --print: how instances are named, if not by the ids of EC2, * allowed (repeatable)',
  ),
  with: list(
    z
      .enum(FEATURES, { error: `expected ${FEATURES.join(', ')}` })
      .array()
      .optional(),
    `With --print: permissions for ${FEATURES.join(', ')} (a role of its own), besides what the config uses (repeatable)`,
    { completes: FEATURES },
  ),
};
/** What only a template has, and what only a set-up does. */
const OF_PRINT = ['account', 'principal', 'signingKey', 'writeAlarm', ...NAMED, 'with'] as const;
const OF_SETUP = ['keys', 'writeConfig', 'yes', 'dryRun', 'output'] as const;

export const initVerbs = {
  init: verb({
    usage: '--env <env>',
    summary:
      'Create what an environment needs in AWS, or print it as CloudFormation, Terraform or IAM policies',
    group: 'setup',
    options,
    examples: [
      [
        '$0 init --env dev --region eu-west-1 --bucket acme-deploys-dev --keys ~/.config/trigger-deploy',
        'the first time',
      ],
      ['$0 init --env dev --dry-run', 'what differs from how it should be'],
      [
        '$0 init --env dev --print cloudformation > dev.yaml',
        'with the roles of agent, publisher, reader and console',
      ],
      [
        '$0 init --env dev --print terraform --write-alarm > dev.tf',
        'and an alarm on writes to signed documents',
      ],
    ],
    notes: [
      'What is right stays as it is, and what others added is kept: init may be repeated, killed and run twice at once.',
      'It creates the topic with its policy, the bucket (private, versioned, encrypted, TLS only, with lifecycle rules) and',
      'what the options ask for. Exit codes: 0 all is right, 1 something is wrong, 4 a permission is missing.',
    ].join('\n'),
    refuse(values) {
      const print = values.print !== undefined;
      const stray = (print ? OF_SETUP : OF_PRINT).find((key) => Boolean(values[key]));
      if (stray === undefined) return undefined;
      return print
        ? `--print and ${optionName(stray)} cannot be combined`
        : `${optionName(stray)} needs --print`;
    },
    async alone(values, around) {
      const { loadForSetup } = await import('../config/load-setup.ts');
      const place = await loadForSetup(around.config, values);
      return values.print === undefined ? await setUp(place, values, around) : await printed(place, values);
    },
  }),
};

type Place = Awaited<ReturnType<typeof import('../config/load-setup.ts')['loadForSetup']>>;
interface SetupValues {
  bucketKey?: string | undefined;
  logDays?: number | undefined;
  events: boolean;
  keys?: string | undefined;
  writeConfig: boolean;
  yes: boolean;
  dryRun: boolean;
}

async function setUp(place: Place, values: SetupValues, around: Surroundings): Promise<Answer> {
  const [{ init }, { initLines, stepLines }, { newConfigFile }, { pathFrom }] = await Promise.all([
    import('../commands/init.ts'),
    import('../render/init.ts'),
    import('../config/add-environment.ts'),
    import('../config/config-source.ts'),
  ]);
  const { format, printThing, printLines, ask, stop: signal, config } = around;
  const isJson = format === 'json';
  const tell = (step: Parameters<typeof stepLines>[0]) =>
    isJson ? printThing({ type: 'setup-step', env: place.env, ...step }) : printLines(stepLines(step));
  const directory = values.keys === undefined ? undefined : pathFrom(config.cwd, values.keys, homedir());
  const aws = around.aws(place);
  try {
    const answer = await init(aws, {
      ...{
        place,
        ask,
        signal,
        tell,
        bucketKey: values.bucketKey,
        events: values.events,
        logDays: values.logDays,
      },
      ...{ isDryRun: values.dryRun, isYes: values.yes },
      keys: directory === undefined ? undefined : { directory, make: () => makeKeys(directory, place.env) },
      configFile: values.writeConfig ? (place.file ?? newConfigFile(config)) : undefined,
      plan(steps, question) {
        for (const step of steps) tell(step);
        if (ask !== undefined) printLines(['', question]);
      },
    });
    const { exitCode, ...thing } = answer;
    const lines = () => initLines(answer);
    return { things: [thing], table: lines, lines, exitCode };
  } finally {
    aws.close();
  }
}

async function makeKeys(out: string, name: string): Promise<void> {
  const { keygen } = await import('../commands/keygen.ts');
  await keygen({ out, name });
}

type PrintValues = Parameters<typeof import('../commands/print-environment.ts')['printEnvironment']>[2] & {
  print?: 'cloudformation' | 'terraform' | 'iam' | undefined;
  account?: string | undefined;
};

async function printed(place: Place, { print = 'iam', ...values }: PrintValues): Promise<Answer> {
  const owner = values.account ?? place.account;
  if (owner === undefined) {
    throw new TriggerDeployError(
      'USAGE',
      '--print needs --account: the config does not say which AWS account it is',
      {
        hint: 'aws sts get-caller-identity --query Account shows the account of the credentials in use',
      },
    );
  }
  const { printEnvironment } = await import('../commands/print-environment.ts');
  const printedText = printEnvironment(print, { ...place, account: owner }, values);
  const lines = () => [printedText.trimEnd()];
  return {
    things: [{ type: 'template', env: place.env, form: print, text: printedText }],
    table: lines,
    lines,
  };
}
