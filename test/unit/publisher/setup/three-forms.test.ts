import { afterEach, beforeEach, expect, test } from 'vitest';
import { printEnvironment } from '../../../../publisher/commands/print-environment.ts';
import { eventsTopicName, keys, topicName } from '../../../../shared/names.ts';
import { BUCKET, openSetup, type SetupStage } from '../../../support/publisher/setup-stage.ts';
import { readCloud, readCloudFormation, readTerraform } from '../../../support/setup/read-back.ts';

let stage: SetupStage;
beforeEach(async () => {
  stage = await openSetup();
});
afterEach(() => stage.stop());

const NAMES = [topicName('dev'), eventsTopicName('dev'), BUCKET] as const;

test.each([
  [{ events: false, logDays: undefined, bucketKey: undefined }],
  [{ events: true, logDays: 30, bucketKey: 'arn:aws:kms:eu-west-1:000000000000:key/0a1b' }],
])(
  'init, the CloudFormation template and the Terraform configuration give the same environment: %j',
  async (options) => {
    const place = { ...stage.place, account: '000000000000' };
    const print = { ...options, writeAlarm: false, signingKey: false };
    await stage.run(options);
    const made = readCloud(stage.cloud, NAMES);
    expect(readCloudFormation(printEnvironment('cloudformation', place, print))).toEqual(made);
    expect(await readTerraform(printEnvironment('terraform', place, print))).toEqual(made);
    expect(made.events === undefined).toBe(!options.events);
    expect(made.bucket.lifecycle).toHaveLength(options.logDays === undefined ? 2 : 3);
  },
);

test('no rule of the lifecycle lets a current object expire, whatever its key, and every key has one for its old versions', async () => {
  await stage.run();
  const text = stage.cloud.bucketConfig(BUCKET, 'lifecycle') ?? '';
  expect(text).not.toMatch(/<Expiration>(?:(?!<\/Expiration>).)*<(Days|Date)>|<Transition>/);
  const { lifecycle } = readCloud(stage.cloud, NAMES).bucket;
  const prefixes = (lifecycle as { prefix: string }[]).map(({ prefix }) => prefix);
  for (const key of [
    keys.artifact('payments', '1.0.0', 'ab', 'payments.jar'),
    keys.manifest('payments', '1.0.0'),
    keys.index('payments'),
    keys.lock('dev', 'payments'),
    keys.desired('dev', 'payments'),
    keys.pause('dev'),
    keys.changes('dev'),
    keys.deployment('dev', 'payments', '01JDB2Q0V7M3N8T5R9XKZC4W6H'),
    keys.instance('dev', 'payments', 'AROA:i-1'),
  ]) {
    expect(prefixes.filter((prefix) => key.startsWith(prefix))).toHaveLength(1);
  }
});
