import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import type { Aws } from './aws.ts';
import { awsError } from './aws-errors.ts';
import { TriggerDeployError } from './errors.ts';
import { userId } from './role-session.ts';

/** Asks AWS who the caller is. */

/**
 * The `aws:userid` of the caller. STS `GetCallerIdentity` needs no permission.
 * @throws AWS_*; the reason of `signal`.
 */
export async function callerUserId(aws: Aws, signal: AbortSignal): Promise<string> {
  const sts = aws.limited(new STSClient(aws.settings), 'STS');
  try {
    const { UserId } = await sts.send(new GetCallerIdentityCommand({}), { abortSignal: signal });
    const parsed = userId.safeParse(UserId);
    if (parsed.success) return parsed.data;
    throw new TriggerDeployError('AWS_REFUSED', 'the answer of STS names no user id', {
      cause: parsed.error,
    });
  } catch (error) {
    signal.throwIfAborted();
    throw awsError(error, 'ask STS who this is');
  } finally {
    sts.destroy();
  }
}
