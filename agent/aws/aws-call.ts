import { awsError, awsErrorName } from '../../shared/aws-errors.ts';
import type { Finding } from '../deploy/ports.ts';

/**
 * Runs a call to AWS. `doing` completes an error message that begins with "cannot".
 * @throws the reason of `signal` if it aborts; TriggerDeployError for any other failure.
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

/**
 * Returns the findings of a call, or why it failed as one. `doing` as in `awsCall`.
 * @throws only the reason of `signal`, if it aborts.
 */
export async function findings(
  doing: string,
  signal: AbortSignal,
  work: () => Promise<Finding[]>,
): Promise<Finding[]> {
  try {
    return await work();
  } catch (error) {
    return [failureOf(error, doing, signal)];
  }
}

/** Makes one finding of a call: the text that `work` returns, or why it failed. As `findings`. */
export async function finding(
  doing: string,
  signal: AbortSignal,
  work: () => Promise<string>,
): Promise<Finding> {
  try {
    return { ok: true, what: await work() };
  } catch (error) {
    return failureOf(error, doing, signal);
  }
}

function failureOf(error: unknown, doing: string, signal: AbortSignal): Finding {
  signal.throwIfAborted();
  const { message, hint } = awsError(error, doing);
  return { ok: false, what: message, ...(hint !== undefined && { hint }) };
}

/** Whether `error`, or one of its causes, has one of these AWS error names. */
export function isNamed(error: unknown, ...names: string[]): boolean {
  for (let link = error; link instanceof Error; link = link.cause) {
    if (names.includes(awsErrorName(link))) return true;
  }
  return false;
}

/** SQS has two names for this error. The protocol decides which one it sends (`awsQueryError` in the model of SQS). */
export function isNoSuchQueue(error: unknown): boolean {
  return isNamed(error, 'QueueDoesNotExist', 'AWS.SimpleQueueService.NonExistentQueue');
}
