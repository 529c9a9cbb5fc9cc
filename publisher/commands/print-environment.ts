import { TriggerDeployError } from '../../shared/errors.ts';
import type { SetupPlace } from '../config/load-setup.ts';
import { cloudFormation } from '../setup/cloudformation.ts';
import { policyOf, ROLES } from '../setup/policies.ts';
import { type PrintOptions, placeOf, printedOf } from '../setup/printed.ts';
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
  if (form === 'cloudformation') return cloudFormation(printedOf(place, options));
  if (form === 'terraform') return terraform(printedOf(place, options));
  if (options.signingKey || options.writeAlarm) {
    const option = options.signingKey ? '--signing-key' : '--write-alarm';
    throw new TriggerDeployError('USAGE', `${option} is for the templates: --print iam makes nothing`, {
      hint: 'a key that exists is in the policy if the config names its ARN: signingKey: kms:arn:aws:kms:…:key/…',
    });
  }
  const where = placeOf(place, options);
  const policies = Object.fromEntries(ROLES.map((role) => [role, policyOf(role, where)]));
  return `${JSON.stringify(policies, undefined, 2)}\n`;
}
