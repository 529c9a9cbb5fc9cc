import type { SetupPlace } from '../config/load-setup.ts';
import { policyOf, ROLES } from '../setup/policies.ts';
import { type PrintOptions, placeOf } from '../setup/printed.ts';

export type PrintForm = 'iam';

/** `trigger-deploy init --print`: the environment as text, made of the same data as `init` makes it. No call to AWS. */
export function printEnvironment(
  _form: PrintForm,
  place: SetupPlace & { account: string },
  options: PrintOptions,
): string {
  const where = placeOf(place, options);
  const policies = Object.fromEntries(ROLES.map((role) => [role, policyOf(role, where)]));
  return `${JSON.stringify(policies, undefined, 2)}\n`;
}
