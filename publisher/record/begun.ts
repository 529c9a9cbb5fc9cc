/** A promise that may be awaited later or never: until then its failure is no unhandled rejection. */
export function begun<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  return work;
}
