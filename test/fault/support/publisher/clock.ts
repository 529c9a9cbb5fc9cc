/**
 * Loaded by `--import` before a real publisher: SIGUSR2 lets more than a minute pass on its monotonic clock, so that a
 * test need not wait for a lock to go stale; TEST_CLOCK_OFFSET_MS puts its wall clock wrong, as a machine's can be.
 */
const MINUTE_MS = 61_000;
const offsetMs = Number(process.env.TEST_CLOCK_OFFSET_MS ?? 0);

let passedMs = 0;
const monotonic = performance.now.bind(performance);
performance.now = () => monotonic() + passedMs;
process.on('SIGUSR2', () => {
  passedMs += MINUTE_MS;
});

if (offsetMs !== 0) {
  const now = Date.now.bind(Date);
  Date.now = () => now() + offsetMs;
  globalThis.Date = new Proxy(Date, {
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length === 0 ? [target.now()] : args, newTarget),
  });
}
