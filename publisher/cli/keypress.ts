import type { ReadStream } from 'node:tty';

/**
 * Waits for one key: y is true, n is false, other keys are ignored. It reads keys and not a line, because the table
 * above is redrawn all the time. Rejects when `signal` aborts; the terminal's mode is restored in every case.
 */
export function keypress(input: ReadStream): (signal: AbortSignal) => Promise<boolean> {
  return async (signal) => {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const onAbort = () => reject(signal.reason);
    const onKey = (key: Buffer) => {
      const typed = key.toString('utf8').toLowerCase();
      if (typed === 'y') resolve(true);
      if (typed === 'n') resolve(false);
      // A terminal in raw mode does not turn Ctrl-C into a signal.
      if (typed === '\u0003') process.kill(process.pid, 'SIGINT');
    };
    signal.addEventListener('abort', onAbort, { once: true });
    input.setRawMode(true);
    input.on('data', onKey);
    input.resume();
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
      input.off('data', onKey);
      input.setRawMode(false);
      input.pause();
    }
  };
}
