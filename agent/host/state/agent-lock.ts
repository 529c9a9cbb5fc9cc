import { randomBytes } from 'node:crypto';
import { lstat, readdir } from 'node:fs/promises';
import { createConnection, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { ignoreCode, makeDirectories, systemCode } from '../fs/durable-files.ts';
import { removeLeftover, tellLeftover } from '../fs/leftovers.ts';
import { findRunningAgent } from './agent-pid.ts';

/**
 * One agent at a time uses a state directory: two would both deploy what is announced. Each agent listens at a socket of
 * its own in the directory, `agent-ID.sock`, and holds the lock once it has seen, after that, that no other one listens.
 * So of two agents at least one sees the other. The kernel closes a socket with its process, however that ends: a dead
 * agent never holds the lock, and a pid that is used again or is of another container cannot be mistaken for an agent.
 */

const NAME = /^agent-[0-9a-f]{12}\.sock$/;
/** How long the other agent may take to answer, ms. A connection is proof enough that it lives. */
const ANSWER_WITHIN = 500;
/** How long agents that start at the same time may take to agree, ms. */
const AGREE_WITHIN = 5000;
const PAUSE = 20;

export interface AgentLock {
  release(): void;
}

/**
 * Takes the lock of `state`. Where the file system allows no socket (a full disk, a path that is too long), only the
 * recorded pid is checked, and this is told as a leftover is.
 * @throws LOCKED if another agent uses the directory.
 */
export async function takeAgentLock(state: string): Promise<AgentLock> {
  const recorded = await findRunningAgent(state);
  if (recorded && recorded.pid !== process.pid) throw inUse(state, recorded.pid);
  const end = performance.now() + AGREE_WITHIN;
  try {
    await makeDirectories(state, 0o700);
    for (;;) {
      const candidate = await listen(state);
      const other = await outlast(state, candidate, end);
      if (other === undefined) return { release: () => void candidate.server.close() };
      candidate.server.close();
      if (other.held || performance.now() >= end) throw inUse(state, other.pid);
      await sleep(PAUSE + Math.random() * PAUSE);
    }
  } catch (error) {
    if (error instanceof TriggerDeployError) throw error;
    tellLeftover(state, error);
    return { release: () => undefined };
  }
}

function inUse(state: string, pid: number): TriggerDeployError {
  const who = pid > 0 ? `another agent (pid ${pid})` : 'another agent';
  return new TriggerDeployError('LOCKED', `${who} uses the state directory ${state}`, {
    hint: 'stop it first (systemctl stop trigger-deploy-agent), or set another `state` in the config',
  });
}

interface Candidate {
  name: string;
  server: Server;
  /** Whether it holds the lock: the others need not wait for its decision. */
  held: boolean;
}

interface Other {
  name: string;
  pid: number;
  held: boolean;
}

/**
 * Waits until no other agent listens, and takes the lock; then returns undefined. Returns the other agent if that one
 * holds the lock or goes first. Of agents that start together, the one whose name is first stays, and the others yield.
 */
async function outlast(state: string, candidate: Candidate, end: number): Promise<Other | undefined> {
  for (;;) {
    const others = await listening(state, candidate.name);
    const first = others.find((other) => other.held || other.name < candidate.name) ?? others[0];
    if (!first) {
      // An agent that found the socket between its creation and `listen` took it for that of a dead one.
      if (await lstat(join(state, candidate.name)).catch(ignoreCode('ENOENT', undefined))) {
        candidate.held = true;
        return undefined;
      }
      return { name: '', pid: 0, held: false };
    }
    if (first.held || first.name < candidate.name || performance.now() >= end) return first;
    await sleep(PAUSE);
  }
}

/** The other agents that listen. Removes the sockets of dead ones. */
async function listening(state: string, own: string): Promise<Other[]> {
  const others: Other[] = [];
  for (const name of (await readdir(state)).filter((one) => NAME.test(one) && one !== own)) {
    const answer = await ask(join(state, name));
    if (answer) others.push({ name, ...answer });
    else await removeLeftover(join(state, name));
  }
  return others;
}

async function listen(state: string): Promise<Candidate> {
  const name = `agent-${randomBytes(6).toString('hex')}.sock`;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(`${process.pid} ${candidate.held ? 'holds' : 'starts'}\n`);
  });
  const candidate: Candidate = { name, server, held: false };
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(join(state, name), () => resolve());
  server.unref();
  await promise;
  return candidate;
}

/** What the agent that listens at `path` says; it counts as the holder if it says nothing. Undefined if none listens. */
async function ask(path: string): Promise<Pick<Other, 'pid' | 'held'> | undefined> {
  const silent = { pid: 0, held: true };
  const { promise, resolve } = Promise.withResolvers<Pick<Other, 'pid' | 'held'> | undefined>();
  const socket = createConnection({ path });
  socket.setTimeout(ANSWER_WITHIN, () => resolve(silent));
  socket.once('data', (data) => {
    const [pid = '', word] = data.toString().trim().split(' ');
    resolve({ pid: Number.parseInt(pid, 10) || 0, held: word !== 'starts' });
  });
  socket.once('error', (error) =>
    resolve(['ECONNREFUSED', 'ENOENT', 'ENOTSOCK'].includes(systemCode(error) ?? '') ? undefined : silent),
  );
  socket.once('close', () => resolve(silent));
  const answer = await promise;
  socket.destroy();
  return answer;
}
