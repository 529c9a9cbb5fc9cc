import type { Model } from './fake-ports.ts';

/**
 * Holds the port calls with this name, or those that `isHeld` accepts: `reached` resolves at the first, and `goOn` lets
 * it and all later ones pass. Replaces `model.before`.
 */
export function holdAt(
  model: Model,
  held: string | ((call: string) => boolean),
): { reached: Promise<void>; goOn: () => void } {
  const isHeld = typeof held === 'string' ? (call: string) => call === held : held;
  const reached = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  model.before = async (call) => {
    if (!isHeld(call)) return;
    reached.resolve();
    await released.promise;
  };
  return { reached: reached.promise, goOn: () => released.resolve() };
}
