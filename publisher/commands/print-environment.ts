import { kmsKeyOf } from '../../shared/aws-names.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import type { SetupPlace } from '../config/load-setup.ts';
import { cloudFormation } from '../setup/cloudformation.ts';
import { policyOf, ROLES } from '../setup/policies.ts';
import { isKeyArn, type PrintOptions, placeOf, printedOf } from '../setup/printed.ts';
import { terraform } from '../setup/terraform.ts';

export type PrintForm = 'cloudformation' | 'terraform' | 'iam';

/**
 * `trigger-deploy init --print`: the environment as text, made of the same data with which `init` compares AWS. No call to AWS
 * is made. @throws USAGE.
 */
export function printEnvironment(
  form: PrintForm,
  place: SetupPlace & { account: string },
  options: PrintOptions,
): string {
  refuseIncomplete(place, options);
  if (form !== 'iam') {
    const printed = printedOf(place, options);
    for (const { role, policy } of printed.roles) refuseLong(role, policy);
    return form === 'cloudformation' ? cloudFormation(printed) : terraform(printed);
  }
  if (options.signingKey || options.writeAlarm) {
    const option = options.signingKey ? '--signing-key' : '--write-alarm';
    throw new TriggerDeployError('USAGE', `${option} is for the templates: --print iam makes nothing`, {
      hint: 'a key that exists is in the policy if the config names its ARN: signingKey: kms:arn:aws:kms:…:key/…',
    });
  }
  const where = placeOf(place, options);
  const policies = Object.fromEntries(ROLES.map((role) => [role, policyOf(role, where)]));
  for (const [role, policy] of Object.entries(policies)) refuseLong(role, policy);
  return `${JSON.stringify(policies, undefined, 2)}\n`;
}

/** IAM and STS quotas: the inline policies of a role have so many characters in all, without spaces. */
const LONGEST_POLICY = 10_240;

/** @throws USAGE. */
function refuseLong(role: string, policy: unknown): void {
  const length = JSON.stringify(policy).length;
  if (length <= LONGEST_POLICY) return;
  const text = `the policy of ${role} has ${length} characters, and IAM takes ${LONGEST_POLICY} for a role`;
  throw new TriggerDeployError('USAGE', text, {
    hint: 'name several target groups, groups, buckets or instances at once, with *',
  });
}

/** A trail's bucket is named after the environment's, and the name of a bucket has 63 characters at most. */
const LONGEST_WITH_TRAIL = 57;

/** @throws USAGE for what would be refused by AWS, or would lack a permission. */
function refuseIncomplete({ env, bucket, signingKey = '' }: SetupPlace, options: PrintOptions): void {
  if (options.writeAlarm && bucket.length > LONGEST_WITH_TRAIL) {
    const text = `--write-alarm needs a bucket name of ${LONGEST_WITH_TRAIL} characters at most: the trail gets NAME-trail`;
    throw new TriggerDeployError('USAGE', text, { hint: `${bucket} has ${bucket.length} characters` });
  }
  if (options.bucketKey !== undefined && !isKeyArn(options.bucketKey)) {
    throw new TriggerDeployError(
      'USAGE',
      `--bucket-key ${options.bucketKey} is no ARN of a KMS key, which a policy needs`,
      { hint: 'arn:aws:kms:…:key/…; aws kms describe-key --key-id ALIAS shows it' },
    );
  }
  const key = kmsKeyOf(signingKey);
  if (key === undefined || isKeyArn(key) || options.signingKey) return;
  throw new TriggerDeployError(
    'USAGE',
    `${env} signs with ${signingKey}, and a policy needs the ARN of that key`,
    {
      hint: 'add --signing-key to make the key with its alias, or name the ARN of the key that exists: signingKey: kms:arn:aws:kms:…:key/…',
    },
  );
}
