import type { RequestRecord } from '../cloud/requests.ts';

/** Requests by service and operation, as the formula names them: `SQS ReceiveMessage`. */
export function countedCalls(requests: readonly RequestRecord[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { service, operation } of requests) {
    const name = `${service.toUpperCase()} ${operation}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}
