import { randomBytes } from 'node:crypto';
import { link, rename } from 'node:fs/promises';
import { createConnection, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { makeDirectories, systemCode } from '../fs/durable-files.ts';
import { removeLeftover, tellLeftover } from '../fs/leftovers.ts';
import { findRunningAgent } from './agent-pid.ts';

/**
 * One agent at a time uses a state directory: two would both deploy what is announced. The lock is a listening socket in
 * the directory. The kernel closes it with the process, however that ends, so that a dead agent never holds the lock, and
 * a pid that is used again or is of another container cannot be mistaken for an agent.
 */

const NAME = 'agent.sock';
const TRIES = 5;
/** How long the other agent may take to say its pid, ms. A connection is proof enough that it lives. */
const PID_WITHIN = 500;

export interface AgentLock {
  release(): void;
}

/**
 * Takes the lock of `state`. Where the file system allows no socket (a full disk, a path that is too long), only the
 * recorded pid is checked, and this is told as a leftover is.
 * @throws LOCKED if another agent uses the directory.
 */
export async function takeAgentLock(state: string): Promise<AgentLock> {
  const path = join(state, NAME);
  const recorded = await findRunningAgent(state);
  if (recorded && recorded.pid !== process.pid) throw inUse(state, recorded.pid);
  let failure: unknown;
  try {
    await makeDirectories(state, 0o700);
    for (let tries = 0; tries < TRIES; tries += 1) {
      const server = await listen(path);
      if (server) return { release: () => void server.close() };
      const owner = (await askPid(path)) ?? (await takeAside(path));
      if (owner !== undefined) throw inUse(state, owner);
    }
  } catch (error) {
    if (error instanceof TriggerDeployError) throw error;
    failure = error;
  }
  tellLeftover(path, failure ?? new Error('it cannot be replaced by the socket of this agent'));
  return { release: () => undefined };
}

function inUse(state: string, pid: number): TriggerDeployError {
  const who = pid > 0 ? `another agent (pid ${pid})` : 'another agent';
  return new TriggerDeployError('LOCKED', `${who} uses the state directory ${state}`, {
    hint: 'stop it first (systemctl stop trigger-deploy-agent), or set another `state` in the config',
  });
}

/** The listening socket; undefined if `path` exists. */
async function listen(path: string): Promise<Server | undefined> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(`${process.pid}\n`);
  });
  const { promise, resolve, reject } = Promise.withResolvers<Server | undefined>();
  server.once('error', (error) => (systemCode(error) === 'EADDRINUSE' ? resolve(undefined) : reject(error)));
  server.listen(path, () => resolve(server));
  server.unref();
  return await promise;
}

/** The pid of the agent that listens at `path`; 0 if it does not say; undefined if none listens. */
async function askPid(path: string): Promise<number | undefined> {
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  const socket = createConnection({ path });
  let isConnected = false;
  socket.once('connect', () => {
    isConnected = true;
  });
  socket.setTimeout(PID_WITHIN, () => resolve(isConnected ? 0 : undefined));
  socket.once('data', (data) => resolve(Number.parseInt(data.toString(), 10) || 0));
  socket.once('error', () => resolve(isConnected ? 0 : undefined));
  socket.once('close', () => resolve(isConnected ? 0 : undefined));
  const pid = await promise;
  socket.destroy();
  return pid;
}

/**
 * Removes what a dead agent left at `path`. Another agent may have taken the place meanwhile: then it gets it back, and
 * its pid is returned.
 */
async function takeAside(path: string): Promise<number | undefined> {
  const aside = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  const owner = await askPid(aside);
  if (owner !== undefined) await link(aside, path).catch(() => {});
  await removeLeftover(aside);
  return owner;
}
