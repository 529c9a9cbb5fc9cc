import type { Instance } from './fleet.ts';

/** A line of an agent's log, as far as tests read it. */
export interface LogEntry {
  readonly level: string;
  readonly msg: string;
  readonly code?: string;
  readonly deployment?: string;
  readonly decision?: string;
  readonly err?: { code?: string; message: string };
}

const parseEntry = (line: string) => JSON.parse(line) as LogEntry;

function agentOf({ id, agent }: Instance) {
  if (!agent) throw new Error(`the agent of ${id} does not run`);
  return agent;
}

/** Everything the running agent has logged. */
export function logOf(instance: Instance): LogEntry[] {
  return agentOf(instance).stdout().split('\n').slice(0, -1).map(parseEntry);
}

/** From now on: the first entry that fits and is logged after this call. */
export async function nextLogged(instance: Instance, fits: (entry: LogEntry) => boolean): Promise<LogEntry> {
  const before = logOf(instance).length;
  let index = 0;
  const line = await agentOf(instance).line((one) => {
    index += 1;
    return index > before && fits(parseEntry(one));
  });
  return parseEntry(line);
}
