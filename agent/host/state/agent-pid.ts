import { join } from 'node:path';
import * as z from 'zod';
import { makeDirectories, readNoFollow, writeDurably } from '../fs/durable-files.ts';
import { removeLeftover } from '../fs/leftovers.ts';
import { findProcess } from '../process/proc.ts';

/** `STATE/agent.json`: the pid of the running agent. Commands such as `status` read it. */

const agentPid = z.looseObject({
  pid: z.int(),
  /** Pid and start time together identify the process. A boot id would not help: a unit and a shell may see two ids. */
  startTime: z.string(),
  version: z.string(),
  since: z.iso.datetime(),
});
export type AgentPid = z.infer<typeof agentPid>;

const NAME = 'agent.json';
const LIMIT = 4096; // bytes

/** Records this process as the running agent. */
export async function writeAgentPid(state: string, version: string): Promise<void> {
  const { pid } = process;
  await makeDirectories(state, 0o700);
  const startTime = (await findProcess(pid))?.startTime ?? '';
  const since = new Date().toISOString();
  const entry = { pid, startTime, version, since } satisfies AgentPid;
  await writeDurably(join(state, NAME), `${JSON.stringify(entry)}\n`, 0o644);
}

export async function removeAgentPid(state: string): Promise<void> {
  await removeLeftover(join(state, NAME));
}

/** The running agent that uses the state directory `state`; undefined if there is none. */
export async function findRunningAgent(state: string): Promise<AgentPid | undefined> {
  const text = await readNoFollow(join(state, NAME), LIMIT).catch(() => undefined);
  if (!text) return undefined;
  try {
    const entry = agentPid.parse(JSON.parse(text.toString('utf8')));
    const lives = (await findProcess(entry.pid))?.startTime === entry.startTime;
    return lives ? entry : undefined;
  } catch {
    return undefined;
  }
}
