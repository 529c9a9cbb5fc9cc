import type { ReadStream } from 'node:tty';

/**
 * Waits for one key: y is true, n is false, others are passed over. The table above is redrawn all the time, so
 * nothing is typed into a line. Rejects when `signal` aborts; the terminal is as before, whatever happens.
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
      // A raw terminal makes no signal of Ctrl-C.
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
