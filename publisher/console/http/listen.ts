import { lstat, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { connect, isIP } from 'node:net';
import { TriggerDeployError } from '../../../shared/errors.ts';

/** Where the console listens. */
export type ListenPlace = { host: string; port: number } | { path: string };

const LOOPBACK = /^(127(\.\d{1,3}){3}|::1)$/;
/** With port 0, how often another port is tried, because the same one is taken on the other loopback address. */
const TRIES = 20;

export const isLoopback = (place: ListenPlace) => 'host' in place && LOOPBACK.test(place.host);

/** `127.0.0.1:7117`, `[::1]:7117`, `localhost:7117`, or the path of a unix socket. @throws USAGE. */
export function listenPlaceOf(typed: string): ListenPlace {
  if (typed.includes('/')) return { path: typed };
  const [, bracketed, plain, port = ''] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(typed) ?? [];
  const host = (bracketed ?? plain ?? '').toLowerCase().replace(/^localhost$/, '127.0.0.1');
  if (isIP(host) === 0 || Number(port) > 65_535) {
    throw new TriggerDeployError('USAGE', `--listen ${typed} is no address`, {
      hint: 'such as 0.0.0.0:7117, [::]:7117 or /run/trigger-deploy/console.sock',
    });
  }
  return { host, port: Number(port) };
}

/** Makes both servers listen on loopback at one port: 127.0.0.1 and, where the machine has it, ::1. Returns the port. */
export async function listenOnLoopback(
  make: () => Server,
  port: number,
): Promise<{ servers: Server[]; port: number }> {
  for (let left = port === 0 ? TRIES : 1; ; left -= 1) {
    const first = make();
    await listen(first, { host: '127.0.0.1', port });
    const address = first.address();
    const chosen = typeof address === 'object' && address !== null ? address.port : port;
    const second = make();
    try {
      await listen(second, { host: '::1', port: chosen });
      return { servers: [first, second], port: chosen };
    } catch (error) {
      if (hasNoAddress(error)) return { servers: [first], port: chosen };
      first.close();
      if (left <= 1) throw error;
    }
  }
}

/**
 * Listens on an address, or on a unix socket: one that a console left when it was killed is replaced.
 * @throws USAGE when the address is taken or not allowed.
 */
export async function listenAt(server: Server, place: ListenPlace): Promise<void> {
  try {
    await listen(server, place);
  } catch (error) {
    if (!('path' in place) || !isTaken(error) || !(await isLeft(place.path))) throw error;
    await rm(place.path);
    await listen(server, place);
  }
}

/** Whether it is a socket on which nobody listens. Any other file refuses a connection as such a socket does: it stays. */
async function isLeft(path: string): Promise<boolean> {
  if (!(await lstat(path)).isSocket()) return false;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path, () => resolve(false));
  socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'ECONNREFUSED'));
  return await promise.finally(() => socket.destroy());
}

async function listen(server: Server, place: ListenPlace): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = (error: Error) => reject(error);
  server.once('error', fail);
  server.listen(
    'path' in place ? { path: place.path } : { ...place, ipv6Only: place.host === '::1' },
    resolve,
  );
  try {
    await promise;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const where = 'path' in place ? place.path : `${place.host}, port ${place.port}`;
    const isUsed = code === 'EADDRINUSE';
    const hint = isUsed ? ('path' in place ? USED_PATH : USED_PORT) : undefined;
    throw new TriggerDeployError('USAGE', `cannot listen on ${where}: ${code}`, { cause: error, hint });
  } finally {
    server.off('error', fail);
  }
}

const USED_PORT = 'choose another port; 0 takes any free one';
const USED_PATH = 'another console listens there, or the file is no socket: choose another path';
const codeOf = (error: unknown) => (error as { cause?: NodeJS.ErrnoException }).cause?.code ?? '';
const isTaken = (error: unknown) => codeOf(error) === 'EADDRINUSE';
/** The machine has no IPv6. */
const hasNoAddress = (error: unknown) => ['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(codeOf(error));
