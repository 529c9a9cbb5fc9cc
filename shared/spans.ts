import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * Where the time of a deployment goes on an instance: parts that are shorter than a step, or before the first one. The
 * adapters measure them where they happen, without a parameter through every port between them and the step.
 */

/**
 * `announce`: from the announcement until its message is in the queue of the instance. `deliver`: until the agent has
 * received it. `admit`: until the deployment starts here. Then, within the steps: `download` (each byte is hashed as it
 * arrives), `verify` (what is left to check), `unpack`, `sync` (fsync(2)), `stop`, and `healthy`: from the start of the
 * checks until each has passed once.
 */
export const SPANS = [
  'announce',
  'deliver',
  'admit',
  'download',
  'verify',
  'unpack',
  'sync',
  'stop',
  'healthy',
] as const;
export type Span = (typeof SPANS)[number];

/** Without those of a later version. */
export function knownSpans(spans: Readonly<Record<string, number>>): Partial<Record<Span, number>> {
  return Object.fromEntries(
    SPANS.flatMap((span) => (spans[span] === undefined ? [] : [[span, spans[span]]])),
  );
}

/** Who gets the times, and the clock that they are measured with, ms. */
export interface SpanCollector {
  now(): number;
  spent(span: Span, ms: number): void;
}

const collectors = new AsyncLocalStorage<SpanCollector>();

/** Runs `work`. The collector gets what `timeSpan` measures in it, and in everything that it starts. */
export const collectSpans = <T>(collector: SpanCollector, work: () => T): T =>
  collectors.run(collector, work);

/** Runs `work` as a part of the step that runs now; outside of a step, it is not measured. */
export async function timeSpan<T>(span: Span, work: () => Promise<T>): Promise<T> {
  const end = beginSpan(span);
  try {
    return await work();
  } finally {
    end();
  }
}

/** Begins to measure, until the function that it returns is called for the first time. */
export function beginSpan(span: Span): () => void {
  let collector = collectors.getStore();
  const began = collector?.now() ?? 0;
  return () => {
    collector?.spent(span, collector.now() - began);
    collector = undefined;
  };
}
