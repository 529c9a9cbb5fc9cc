import { awsError } from './aws-errors.ts';

/** Finds out whether AWS permits a request, by one that cannot succeed. */

/**
 * Of a PutObject: no object has this ETag, for no MD5 is known to be it, so nothing is ever written. S3 checks the
 * permission first: it answers 403 where that is missing, and otherwise that the condition failed, or that there is no
 * such object (S3 User Guide, "Conditional writes").
 */
export const WRITES_NOTHING = { IfMatch: `"${'0'.repeat(32)}"`, Body: '', ContentLength: 0 } as const;

/**
 * Whether `attempt` is permitted: it is not denied. `doing` completes "cannot …".
 * @throws AWS_UNREACHABLE; the reason of `signal`.
 */
export async function isPermitted(
  doing: string,
  attempt: () => Promise<unknown>,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await attempt();
  } catch (error) {
    signal.throwIfAborted();
    const failure = awsError(error, doing);
    if (failure.code === 'AWS_DENIED') return false;
    if (failure.code === 'AWS_UNREACHABLE') throw failure;
  }
  return true;
}
