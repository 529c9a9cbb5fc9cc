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
  return userIdIn(await identityOf(aws, signal));
}

/** The AWS account of the caller, 12 digits, and who it is. @throws as `callerUserId`. */
export async function callerAccount(
  aws: Aws,
  signal: AbortSignal,
): Promise<{ account: string; arn: string }> {
  return accountIn(await identityOf(aws, signal));
}

/** All that STS says of the caller, by one call. @throws as `callerUserId`. */
export async function callerIdentity(
  aws: Aws,
  signal: AbortSignal,
): Promise<{ userId: string; account: string; arn: string }> {
  const answer = await identityOf(aws, signal);
  return { userId: userIdIn(answer), ...accountIn(answer) };
}

function userIdIn({ UserId }: GetCallerIdentityResponse): string {
  const parsed = userId.safeParse(UserId);
  if (parsed.success) return parsed.data;
  throw new TriggerDeployError('AWS_REFUSED', 'the answer of STS names no user id', { cause: parsed.error });
}

function accountIn({ Account = '', Arn = '' }: GetCallerIdentityResponse): { account: string; arn: string } {
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
