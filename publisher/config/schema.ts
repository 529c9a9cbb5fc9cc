import * as z from 'zod';
import { awsNames, isKmsKey, kmsKeyOf } from '../../shared/aws-names.ts';
import { parseDuration } from '../../shared/duration.ts';
import { SHORTEST_SILENCE_MS } from '../../shared/heartbeat.ts';
import { envName, instanceId, serviceName } from '../../shared/names.ts';
import { queueTags } from '../../shared/queue-tags.ts';
import { sessionName, userId } from '../../shared/role-session.ts';
import { OF_WAVES } from '../plan/waves.ts';
import { expected, expectedMap, oneOf, text } from './expected.ts';
import { retentionInFile } from './retention.ts';
import { CONSOLE_KEYS, consoleInFile } from './schema-console.ts';
import { isWebhookAddress } from './webhook-place.ts';

/** The schema of `trigger-deploy.yaml`. Unknown keys are mistakes; each message says what was expected. */

const count = z.custom<number>((value) => Number.isInteger(value) && Number(value) >= 0, {
  error: expected('a whole number, 0 or more'),
});
const share = z.custom<number | string>(
  (value) => (Number.isInteger(value) && Number(value) > 0) || /^([1-9]\d?|100)%$/.test(String(value)),
  { error: expected('a number of instances or a percentage such as 25%') },
);
const duration = text('a duration such as 30s or 10m', /^\d{1,9}(ms|s|m|h)$/);
const positiveDuration = text('a duration such as 30s or 10m, more than 0', /^(?!0+\D)\d{1,9}(ms|s|m|h)$/);

const FORGET_AFTER = 'never, or a duration such as 1h or 90m, 30m or more';
const forgetAfter = z
  .string({ error: expected(FORGET_AFTER) })
  .refine((text) => text === 'never' || (parseDuration(text) ?? 0) >= SHORTEST_SILENCE_MS, {
    error: expected(FORGET_AFTER),
  });
const ALARM = 'the name of a CloudWatch alarm, or { name: NAME, insufficientData: fail }';
/** API Reference of CloudWatch, "PutMetricAlarm": 1 to 255 characters, no ASCII control characters. */
const alarmName = text('the name of a CloudWatch alarm', /^(?!arn:)[^\u0000-\u001f\u007f]{1,255}$/);
const alarm = z.union(
  [alarmName, z.strictObject({ name: alarmName, insufficientData: oneOf(['fail', 'ignore']).optional() })],
  { error: expected(ALARM) },
);
/** One call of DescribeAlarms has at most 100 names. */
const MOST_ALARMS = 100;
const alarms = z
  .array(alarm, { error: expected('a list of CloudWatch alarms') })
  .min(1, { error: 'expected at least one alarm' })
  .max(MOST_ALARMS, { error: `expected at most ${MOST_ALARMS} alarms` });
/** Each record of a deployment has the command, and Linux takes 128 KiB as one argument at most. A longer one is a file. */
const LONGEST_COMMAND = 16_384;
const verify = z.strictObject(
  {
    run: z
      .array(text('a text without NUL', /^[^\0]*$/), {
        error: expected('a command and its arguments, as a list'),
      })
      .refine((run) => run.join(' ').length <= LONGEST_COMMAND, {
        error: `expected a command of at most ${LONGEST_COMMAND} characters`,
      })
      .min(1, { error: expected('a command and its arguments, as a list') })
      .refine(([program]) => /\S/.test(program ?? ' '), { error: 'expected a command as the first item' }),
    timeout: positiveDuration.optional(),
  },
  { error: expectedMap('{ run: [COMMAND, ARGUMENT], timeout: 5m }') },
);

const serviceDefaults = z
  .strictObject(
    {
      strategy: oneOf(['all', 'rolling']).optional(),
      canary: share.optional(),
      batch: share.optional(),
      autoConfirm: duration.optional(),
      pauseBetween: duration.optional(),
      maxFailures: z
        .union([count, share], { error: expected('a number of instances or a percentage such as 10%') })
        .optional(),
      allowMissing: count.optional(),
      onFailure: oneOf(['rollback', 'stop']).optional(),
      timeout: positiveDuration.optional(),
      alarms: alarms.optional(),
      watchAlarms: duration.optional(),
      verify: verify.optional(),
      retention: retentionInFile.optional(),
    },
    { error: expectedMap('the defaults of a service') },
  )
  .superRefine(({ alarms = [], watchAlarms }, context) => {
    const names = alarms.map((one) => (typeof one === 'string' ? one : one.name));
    const twice = names.findIndex((name, i) => names.indexOf(name) < i);
    if (twice !== -1) {
      const message = `expected each alarm once, found ${JSON.stringify(names[twice])} twice`;
      context.addIssue({ code: 'custom', path: ['alarms', twice], message });
    }
    if (watchAlarms === undefined || alarms.length > 0) return;
    const message = 'expected alarms with watchAlarms, found none';
    context.addIssue({ code: 'custom', path: ['watchAlarms'], message });
  })
  .superRefine((defaults, context) => {
    const needless = OF_WAVES.find((key) => key !== 'confirm' && defaults[key] !== undefined);
    if (defaults.strategy !== 'all' || needless === undefined) return;
    context.addIssue({
      code: 'custom',
      path: [needless],
      message: `expected strategy rolling with ${needless}, found strategy all`,
    });
  });
export type ServiceDefaults = z.infer<typeof serviceDefaults>;

/** The keys with one text value. A variable can override each of them: TRIGGER_DEPLOY_REGION overrides `region`. */
export const forms = {
  region: awsNames.region,
  profile: text('the name of an AWS profile'),
  role: awsNames.role,
  topic: awsNames.topic,
  bucket: awsNames.bucket,
  signingKey: text('the path of a private key file, or kms:alias/NAME').refine(
    (value) => isKmsKey(kmsKeyOf(value) ?? 'alias/file'),
    { error: expected('a key of KMS: kms:alias/NAME, kms:KEY-ID, or kms: and the ARN of a key or an alias') },
  ),
} as const;
export type FormName = keyof typeof forms;

/** Where notifications are sent. No error shows the value of a webhook key: it may be the address, a secret. */
const notify = z
  .strictObject(
    {
      webhook: z
        .custom<string>((value) => typeof value === 'string' && isWebhookAddress(value), {
          error: 'expected an https address; the value is not shown, as it is a secret',
        })
        .optional(),
      webhookFile: z
        .string({ error: 'expected the path of a file that holds the address' })
        .min(1)
        .optional(),
      webhookVariable: z
        .string({ error: 'expected the name of a variable that holds the address' })
        .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected the name of a variable that holds the address')
        .optional(),
      events: forms.topic.optional(),
    },
    {
      error: (issue) =>
        issue.code === 'unrecognized_keys'
          ? undefined
          : 'expected webhook, webhookFile or webhookVariable, and events',
    },
  )
  .refine(
    ({ webhook, webhookFile, webhookVariable }) =>
      [webhook, webhookFile, webhookVariable].filter((one) => one !== undefined).length <= 1,
    { error: 'expected one of webhook, webhookFile and webhookVariable, found several' },
  );
export type NotifyInFile = z.infer<typeof notify>;

/** A session speaks for one instance: two that share one would write over each other in the record. */
function refuseShared(sessions: Record<string, string>, context: z.RefinementCtx): void {
  const owners = new Map<string, string>();
  for (const [instance, session] of Object.entries(sessions)) {
    const name = session.slice(session.indexOf(':') + 1);
    const owner = owners.get(name);
    if (owner === undefined) owners.set(name, instance);
    else {
      const message = `expected a role session of its own, found ${session}, which is that of ${owner}`;
      context.addIssue({ code: 'custom', path: [instance], message });
    }
  }
}

const environment = z.strictObject(
  {
    region: forms.region.optional(),
    profile: forms.profile.optional(),
    role: forms.role.optional(),
    topic: forms.topic.optional(),
    bucket: forms.bucket.optional(),
    pathStyle: z.boolean({ error: expected('true or false') }).optional(),
    signingKey: forms.signingKey.optional(),
    trust: z
      .array(text('the path of a public key file'), { error: expected('a list of public key files') })
      .optional(),
    services: z.record(serviceName, serviceDefaults, { error: expectedMap('services by name') }).optional(),
    ec2: z.boolean({ error: expected('true or false') }).optional(),
    forgetAfter: forgetAfter.optional(),
    forgetAtMost: share.optional(),
    retention: retentionInFile.optional(),
    requires: envName.optional(),
    confirm: oneOf(['person', 'other']).optional(),
    sessions: z
      .record(instanceId, z.union([sessionName, userId], { error: expected('the name of a role session') }), {
        error: expectedMap('role sessions by instance'),
      })
      .superRefine(refuseShared)
      .optional(),
    notify: notify.optional(),
    queueTags: queueTags.optional(),
  },
  { error: expectedMap('region, topic, bucket and the rest of an environment') },
);
export type EnvironmentInFile = z.infer<typeof environment>;

export const configuration = z.strictObject(
  {
    home: envName.optional(),
    environments: z.record(envName, environment, { error: expectedMap('environments by name') }),
    console: consoleInFile.optional(),
  },
  { error: expectedMap('the keys home, environments and console') },
);

/** All keys, to suggest one for a misspelt key. */
export const KNOWN_KEYS: readonly string[] = [
  ...[configuration, environment, serviceDefaults, notify, retentionInFile].flatMap((one) =>
    Object.keys(one.shape),
  ),
  ...['run', 'name', 'insufficientData'],
  ...CONSOLE_KEYS,
];
