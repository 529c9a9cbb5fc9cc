/**
 * Calls `listener` when the program would end although its main function has not: a promise that it waits for never
 * settles, and nothing else keeps the process. Without a listener, Node ends it with code 13 and a warning that says
 * nothing to its user. Returns a function to call when the main function has ended.
 */
export function onUnsettled(listener: () => void): () => void {
  process.once('beforeExit', listener);
  return () => process.off('beforeExit', listener);
}
