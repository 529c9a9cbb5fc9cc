import { writeSync } from 'node:fs';
import type { Writable } from 'node:stream';

/**
 * Output that may not be writable: its reader has gone, the disk is full, the terminal is closed. That never changes what
 * a program does: the text is dropped.
 */
export interface Output {
  /** Writes, or does nothing once a write has failed. */
  write(text: string): void;
  /** Waits for what was written. @returns why output was lost; undefined when all of it was written. */
  flush(): Promise<NodeJS.ErrnoException | undefined>;
}

/** `isClosed`: the program was started without this stream (`>&-`), and Node put /dev/null in its place. */
export function openOutput(stream: Writable, isClosed = false): Output {
  let lost: NodeJS.ErrnoException | undefined = isClosed
    ? Object.assign(new Error('it is closed'), { code: 'EBADF' })
    : undefined;
  const onError = (error: NodeJS.ErrnoException) => {
    lost ??= error;
  };
  stream.on('error', onError);
  return {
    write(text) {
      if (lost === undefined) stream.write(text);
    },
    async flush() {
      if (lost === undefined) {
        await new Promise<void>((resolve) => {
          stream.write('', (error) => {
            if (error) onError(error);
            resolve();
          });
        });
      }
      return lost;
    },
  };
}

/** How often a write to a full pipe is tried again, and the pause, ms. */
const TRIES = 100;
const PAUSE_MS = 10;

/** Writes the whole text to a file descriptor before it returns. What cannot be written is dropped. */
export function writeAll(fd: number, text: string): void {
  let bytes = Buffer.from(text, 'utf8');
  for (let left = TRIES; bytes.length > 0 && left > 0; ) {
    try {
      bytes = bytes.subarray(writeSync(fd, bytes));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      left -= 1;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
    }
  }
}
