import { isCode } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import type { DesiredReader } from '../deploy/converge.ts';
import type { ServiceWorker } from '../deploy/worker.ts';

/**
 * Converges services on their desired states, all of them unless `which` names some. The failure of one service does not
 * affect the others.
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
  which: readonly string[] = [...workers.keys()],
): Promise<void> {
  const results = await Promise.allSettled(
    which.map((service) => workers.get(service)?.converge(desired, signal) ?? Promise.resolve()),
  );
  const reasons = reasonsOf(results);
  const untrusted = reasons.filter((reason) => isCode(reason, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID'));
  for (const err of untrusted) log.error({ err }, 'a desired state cannot be trusted; it is ignored');
  const [failure] = reasons.filter((reason) => !untrusted.includes(reason as never));
  if (failure !== undefined) throw failure;
}

export const reasonsOf = (results: readonly PromiseSettledResult<void>[]): unknown[] =>
  results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
