import { readFileSync, writeSync } from 'node:fs';
import { swept } from '../../../../agent/host/fs/sweeper.ts';
import { MARK } from './trace.ts';
import {
  layOutAdopted,
  numberOf,
  openJournal,
  openPackage,
  type PackageName,
  prepare,
  stateOf,
} from './world.ts';

/**
 * The program under strace: carries out calls of the ports, each between two marks. Its argument is a file with a
 * JSON array of jobs; each job opens its own journal or package, as a process that has just started.
 */

export type JournalCall = ['load'] | ['append', n: number, size: number];
export type PackageCall =
  | ['adopt']
  | ['prepare', version: string, fresh: boolean]
  | ['switchTo', version: string | null]
  | ['prune', keep: string[]];
export type Job =
  | { kind: 'journal'; path: string; calls: JournalCall[] }
  | { kind: PackageName; dir: string; adopt?: string; syncFrom?: number; calls: PackageCall[] };
export type Mark =
  | { job: number; call: number; phase: 'begin' }
  | { job: number; call: number; phase: 'end'; result: unknown };

function mark(value: Mark): void {
  writeSync(1, `${MARK}${JSON.stringify(value)}\n`);
}

function performer(job: Job): (call: JournalCall | PackageCall) => Promise<unknown> {
  if (job.kind === 'journal') {
    const journal = openJournal(job.path);
    return async ([name, n, size]) => {
      if (name === 'load') return numberOf((await journal.load()).state);
      return journal.append(stateOf(Number(n), Number(size)));
    };
  }
  const pkg = openPackage(job.kind, job.dir, job);
  return async (call) => {
    switch (call[0]) {
      case 'adopt':
        return pkg.adopt(new AbortController().signal);
      case 'prepare':
        return prepare(pkg, call[1], call[2]);
      case 'switchTo':
        return pkg.switchTo(call[1]);
      case 'prune':
        return pkg.prune(new Set(call[1]));
    }
  };
}

const jobs = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as Job[];
for (const [job, one] of jobs.entries()) {
  if (one.kind !== 'journal' && one.adopt !== undefined) await layOutAdopted(one.kind, one.adopt);
  const perform = performer(one);
  for (const [call, what] of one.calls.entries()) {
    mark({ job, call, phase: 'begin' });
    const result = (await perform(what)) ?? null;
    await swept();
    mark({ job, call, phase: 'end', result });
  }
}
