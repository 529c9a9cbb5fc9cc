import { createConnection } from 'node:net';
import { setTimeout } from 'node:timers/promises';

/** Whether a program listens on a port of this machine. */

export async function untilListening(port: number): Promise<void> {
  for (let tries = 0; !(await listens(port)); tries += 1) {
    if (tries === 500)
      throw new Error(`nothing listens on port ${port} after 10 s: see the logs of the benchmark`);
    await setTimeout(20);
  }
}

export async function listens(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = createConnection({ port, host: '127.0.0.1' }, () => resolve(true));
  socket.once('error', () => resolve(false));
  const answer = await promise;
  socket.destroy();
  return answer;
}
