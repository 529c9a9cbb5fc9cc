import { isCode } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import type { DesiredReader } from '../deploy/converge.ts';
import type { ServiceWorker } from '../deploy/worker.ts';

/**
 * Converges every service on its desired state. The failure of one service does not affect the others.
 * @throws the first failure. A desired state with an invalid signature or content is only logged: a retry would not
 * help.
 */
export async function convergeAll(
  {
    workers,
    desired,
    log,
  }: { workers: ReadonlyMap<string, ServiceWorker>; desired: DesiredReader; log: Log },
  signal: AbortSignal,
): Promise<void> {
  const results = await Promise.allSettled(
    [...workers.values()].map((worker) => worker.converge(desired, signal)),
  );
  const reasons = reasonsOf(results);
  const untrusted = reasons.filter((reason) => isCode(reason, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID'));
  for (const err of untrusted) log.error({ err }, 'a desired state cannot be trusted; it is ignored');
  const [failure] = reasons.filter((reason) => !untrusted.includes(reason as never));
  if (failure !== undefined) throw failure;
}

export const reasonsOf = (results: readonly PromiseSettledResult<void>[]): unknown[] =>
  results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
