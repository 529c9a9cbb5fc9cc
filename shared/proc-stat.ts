/** The fields of /proc/PID/stat that this project uses: proc_pid_stat(5). */
export interface ProcStat {
  /** `R`, `S`, `Z` (a zombie), `X` (dead), … */
  state: string;
  parent: number;
  group: number;
  threads: number;
  /** When the process started, in clock ticks since the boot. */
  startTime: string;
}

/** Parses /proc/PID/stat; undefined if `text` is not such a file. Pure. */
export function parseProcStat(text: string): ProcStat | undefined {
  // The second field is the command's name in parentheses, which may contain `)` too.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, parent, group] = fields;
  const [threads, startTime] = [fields[17], fields[19]];
  if (state === undefined || startTime === undefined) return undefined;
  return { state, parent: Number(parent), group: Number(group), threads: Number(threads), startTime };
}
