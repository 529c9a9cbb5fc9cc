import { accountOfArn } from '../../shared/aws-names.ts';
import { callerIdentity } from '../../shared/caller-identity.ts';
import { formatMs } from '../../shared/duration.ts';
import { isCode, messageOf } from '../../shared/errors.ts';
import type { Session } from '../session.ts';
import type { DoctorFinding } from './finding.ts';

/** Who the publisher is for AWS, and whether its clock is right. */

/** Clocks that differ by less are right enough, ms. SigV4 allows 5 minutes (S3 allows 15). */
const CLOCK_MS = 60_000;

/** The identity of the publisher, to compare with the policies, and whether its account is that of the topic. */
export async function examineCaller({ aws, env, signal }: Session): Promise<DoctorFinding[]> {
  try {
    const { userId, account, arn } = await callerIdentity(aws, signal);
    const owner = accountOfArn(env.topic);
    const known: DoctorFinding = {
      id: 'caller',
      state: 'ok',
      what: `AWS knows this publisher as ${userId} (${arn})`,
    };
    if (account === owner) return [known];
    const what = `these credentials are of the account ${account}, and the topic of ${env.name} is in ${owner}`;
    const hint = `name a role of that account: environments.${env.name}.role, or a profile`;
    return [known, { id: 'caller-account', state: 'wrong', what, hint }];
  } catch (error) {
    signal.throwIfAborted();
    if (isCode(error, 'AWS_DENIED'))
      return [{ id: 'caller', state: 'wrong', what: messageOf(error), hint: error.hint }];
    const hint = 'see whether the endpoint of STS can be reached';
    return [{ id: 'caller', state: 'unknown', what: messageOf(error), hint }];
  }
}

/**
 * The clock of this machine beside that of AWS; to be called after calls to AWS. The publisher itself uses the time of
 * AWS, but other programs of this machine do not.
 */
export function examineClock({ aws }: Pick<Session, 'aws'>, now = Date.now()): DoctorFinding {
  const ahead = now - aws.now();
  if (Math.abs(ahead) < CLOCK_MS)
    return { id: 'clock', state: 'ok', what: 'the clock of this machine is right' };
  const where = ahead > 0 ? 'ahead of' : 'behind';
  return {
    id: 'clock',
    state: 'wrong',
    what: `the clock of this machine is ${formatMs(Math.abs(ahead))} ${where} that of AWS`,
    hint: 'timedatectl set-ntp true',
  };
}
