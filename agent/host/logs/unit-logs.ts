import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Log } from '../../../shared/log.ts';
import { deadline } from '../../../shared/retry.ts';
import { childEnvironment } from '../process/run-as.ts';
import type { ShipHow } from './file-logs.ts';
import { entryOf, type JournalEntry } from './journal-text.ts';
import { pack } from './pack.ts';
import type { UnitLog } from './streams.ts';
import { newLogId, type Uploads } from './uploads.ts';

/** The journal of a unit as a log: where the last upload ended is kept as a cursor. */

/** Timeout of one journalctl call, ms. It reads a few MiB. */
const READ_TIMEOUT_MS = 60_000;
const KEY = 'unit';

export interface UnitLogs {
  /** Ships the entries after the last ones, part by part, as long as it gets a turn. Returns whether nothing is left. */
  ship(how: Omit<ShipHow, 'from'>): Promise<boolean>;
}

export interface UnitLogsOptions {
  unit: string;
  uploads: Uploads;
  compress: boolean;
  partBytes: number;
  /** ms since the epoch */
  now: () => number;
  log: Log;
}

const journalArgv = (unit: string, after: string | undefined) => [
  ...['journalctl', '-u', unit, '-o', 'json', '--all', '--no-pager', '-q'],
  '--output-fields=MESSAGE,SYSLOG_IDENTIFIER,_PID',
  ...(after === undefined ? [] : [`--after-cursor=${after}`]),
];

export function createUnitLogs(options: UnitLogsOptions): UnitLogs {
  const { unit, uploads, compress, partBytes, now, log } = options;
  let isTold = false;

  /** The next entries: up to the planned one, or as many as a part takes. */
  async function next(state: UnitLog, parent: AbortSignal): Promise<JournalEntry[]> {
    const { plan } = state;
    using bound = deadline(READ_TIMEOUT_MS, parent, `reading the journal of ${unit}`);
    const found: JournalEntry[] = [];
    let bytes = 0;
    for await (const entry of read(journalArgv(unit, state.cursor), bound.signal)) {
      // Entries that are gone from the journal by now are not found.
      if (plan && entry.at > plan.at) break;
      bytes += Buffer.byteLength(entry.text);
      if (!plan && bytes > partBytes && found.length > 0) break;
      found.push(entry);
      if (entry.cursor === plan?.cursor) break;
    }
    parent.throwIfAborted();
    return found;
  }

  /** Ends journalctl as soon as enough is read. Yields nothing where there is no journal. */
  async function* read([program = '', ...args]: string[], signal: AbortSignal): AsyncGenerator<JournalEntry> {
    const child = spawn(program, args, {
      ...{ env: childEnvironment(process.env), stdio: ['ignore', 'pipe', 'ignore'], signal },
    });
    const failed = new Promise<void>((resolve) => {
      child.once('error', (error) => {
        if (!isTold && !signal.aborted) log.warn({ err: error }, `the journal of ${unit} cannot be read`);
        isTold ||= !signal.aborted;
        resolve();
      });
      child.once('close', () => resolve());
    });
    try {
      for await (const line of createInterface({ input: child.stdout })) {
        const entry = entryOf(line);
        if (entry) yield entry;
      }
    } finally {
      child.kill('SIGKILL');
      await failed;
    }
  }

  return {
    async ship({ signal, isLast, turn: waitForTurn }) {
      for (;;) {
        const kept = uploads.entries.get(KEY);
        const state: UnitLog =
          kept?.kind === 'unit' ? kept : { kind: 'unit', id: newLogId(), since: now(), offset: 0 };
        const turn = await waitForTurn();
        if (!turn) return false;
        try {
          const entries = await next(state, signal);
          const last = entries.at(-1);
          if (!last && state.plan) {
            const { plan, ...rest } = state;
            await uploads.note({ [KEY]: { ...rest, cursor: plan.cursor, offset: plan.end } }, isLast);
            continue;
          }
          if (!last) return true;
          const packed = await pack(textsOf(entries), compress);
          const end = state.plan?.end ?? state.offset + packed.length;
          const planned: UnitLog = {
            ...state,
            plan: state.plan ?? { cursor: last.cursor, at: last.at, end },
          };
          if (!state.plan) await uploads.note({ [KEY]: planned }, isLast);
          const { id, since, offset: start } = state;
          const { body, compressed, sha256 } = packed;
          const done = (): Record<string, UnitLog> => {
            const { plan, ...rest } = planned;
            return { [KEY]: { ...rest, cursor: plan?.cursor, offset: end } };
          };
          const part = { id, name: unit, since, start, end, body, compressed, sha256 };
          await uploads.upload(part, done, { signal, isLast, turn });
        } finally {
          turn.release();
        }
      }
    },
  };
}

async function* textsOf(entries: readonly JournalEntry[]): AsyncGenerator<Buffer> {
  for (const { text } of entries) yield Buffer.from(text);
}
