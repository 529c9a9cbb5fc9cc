import { GetCallerIdentityCommand, type GetCallerIdentityResponse, STSClient } from '@aws-sdk/client-sts';
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
  const { UserId } = await identityOf(aws, signal);
  const parsed = userId.safeParse(UserId);
  if (parsed.success) return parsed.data;
  throw new TriggerDeployError('AWS_REFUSED', 'the answer of STS names no user id', { cause: parsed.error });
}

/** The AWS account of the caller, 12 digits, and who it is. @throws as `callerUserId`. */
export async function callerAccount(
  aws: Aws,
  signal: AbortSignal,
): Promise<{ account: string; arn: string }> {
  const { Account = '', Arn = '' } = await identityOf(aws, signal);
  if (/^\d{12}$/.test(Account)) return { account: Account, arn: Arn };
  throw new TriggerDeployError('AWS_REFUSED', 'the answer of STS names no account');
}

async function identityOf(aws: Aws, signal: AbortSignal): Promise<GetCallerIdentityResponse> {
  const sts = aws.limited(new STSClient(aws.settings), 'STS');
  try {
    return await sts.send(new GetCallerIdentityCommand({}), { abortSignal: signal });
  } catch (error) {
    signal.throwIfAborted();
    throw awsError(error, 'ask STS who this is');
  } finally {
    sts.destroy();
  }
}
