import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below the range from which the kernel takes ports for outgoing connections, of which there are many here. */
const FIRST = 15_000;
const PORTS = 15_000;

/**
 * A port of this machine that nothing listens on, and that no other caller gets while this process lives: what is to
 * listen on it may take its time, and may come and go.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * PORTS);
    if ((await isClaimed(port)) && (await canListen({ port, host: '127.0.0.1' }))) return port;
  }
}

/** The claim is a socket in the abstract namespace, which ends with its process, however that ends: unix(7). */
const isClaimed = (port: number) => canListen({ path: `\0trigger-deploy test port ${port}` }, true);

async function canListen(where: { port: number; host: string } | { path: string }, stay = false) {
  const server = createServer().unref();
  server.listen(where);
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  if (stay) return true;
  server.close();
  await once(server, 'close');
  return true;
}
