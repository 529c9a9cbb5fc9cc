import { awsError, awsErrorName } from '../../shared/aws.ts';
import type { Finding } from '../deploy/ports.ts';

/**
 * Runs a call to AWS. Throws the reason of `signal` once that is aborted; any other failure becomes a
 * TriggerDeployError. `doing` is the rest of a message that begins with "cannot".
 */
export async function awsCall<T>(doing: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  try {
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    throw awsError(error, doing);
  }
}

/** A finding: the text that `work` returns, or why it failed, with `doing` as in `awsCall`. Throws only on an abort. */
export async function finding(
  doing: string,
  signal: AbortSignal,
  work: () => Promise<string>,
): Promise<Finding> {
  try {
    return { ok: true, what: await work() };
  } catch (error) {
    signal.throwIfAborted();
    const { message, hint } = awsError(error, doing);
    return { ok: false, what: message, ...(hint !== undefined && { hint }) };
  }
}

/** Whether `error`, or one of its causes, has one of these AWS error names. */
export function isNamed(error: unknown, ...names: string[]): boolean {
  for (let link = error; link instanceof Error; link = link.cause) {
    if (names.includes(awsErrorName(link))) return true;
  }
  return false;
}

/** SQS has two names for this error; which one it sends depends on the protocol (`awsQueryError` in its model). */
export function isNoSuchQueue(error: unknown): boolean {
  return isNamed(error, 'QueueDoesNotExist', 'AWS.SimpleQueueService.NonExistentQueue');
}
