import type { Decision } from '../../shared/decision.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { Session } from '../session.ts';

/**
 * Who may confirm a deployment. With `confirm: other` in its environment, it is a person other than the one who issued
 * it, and a console must have verified who both of them are: a name alone is what anybody types. The record of the
 * deployment says that, so the rule holds on every machine that drives it, whatever its config.
 */

type Issued = Pick<DeploymentRecord, 'rolling' | 'issuedBy' | 'from'>;

/** Why this confirmation does not count; undefined when it does. Pure. */
export function whyNotConfirming(
  { rolling, issuedBy, from }: Issued,
  { by, verified }: Pick<Decision, 'by' | 'verified'>,
): string | undefined {
  if (rolling?.confirm !== 'other') return undefined;
  if (from.verified === undefined) return 'no console has verified who issued the deployment';
  if (verified === undefined) return `no console has verified who ${by} is`;
  const isSame = from.verified.iss === verified.iss && from.verified.sub === verified.sub;
  // One person can have an account with each of two issuers, or a new account with an old name.
  const hasSameName = nameOf(by) === nameOf(issuedBy);
  return isSame || hasSameName
    ? `${by} issued the deployment, and another person must confirm it`
    : undefined;
}

const nameOf = (text: string) => text.normalize('NFKC').trim().toLowerCase();

/** @throws NOT_ALLOWED when this session may not confirm the deployment. */
export function refuseToConfirm(session: Pick<Session, 'who' | 'origin' | 'person'>, record: Issued): void {
  const { who, origin, person } = session;
  if (person?.isMachine) {
    throw new TriggerDeployError('NOT_ALLOWED', `${who} is a program, and a person must confirm`, {
      hint: 'a person confirms it on the console or with trigger-deploy confirm',
    });
  }
  const why = whyNotConfirming(record, { by: who, verified: origin.verified });
  if (why !== undefined) throw new TriggerDeployError('NOT_ALLOWED', why, { hint: OTHER_HINT });
}

const OTHER_HINT =
  'another person confirms it on the console that verifies who people are; a person who only has a terminal may cancel it';

/**
 * Refuses to begin a deployment that nobody could ever confirm. @throws NOT_ALLOWED where another, verified person must
 * confirm, and no console has verified who begins.
 */
export function refuseUnverified({ env, who, origin }: Pick<Session, 'env' | 'who' | 'origin'>): void {
  if (env.confirm !== 'other' || origin.verified !== undefined) return;
  throw new TriggerDeployError(
    'NOT_ALLOWED',
    `in ${env.name} another person must confirm, and no console has verified who ${who} is`,
    { hint: 'begin the deployment on the console that verifies who people are' },
  );
}
