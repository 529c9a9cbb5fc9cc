import { join } from 'node:path';
import type { Job, PackageCall } from './driver.ts';
import { ADOPTED, type PackageName } from './world.ts';

/**
 * A life of a package's directory: every way in which the package types publish, replace and remove. From `syncFrom`
 * entries on, a release is synced with its file system.
 */
export function packageJob(kind: PackageName, dir: string, syncFrom?: number): Job {
  return {
    kind,
    dir,
    ...(syncFrom !== undefined && { syncFrom }),
    calls: [
      ['prepare', '1', false],
      ['switchTo', '1'],
      ['prepare', '2', false],
      ['switchTo', '2'],
      // Current: only looked at again. Not current: made anew, in place of the old one.
      ['prepare', '2', true],
      ['prepare', '1', true],
      ['switchTo', '1'],
      ['prepare', '3', false],
      ['prepare', '4', false],
      ['switchTo', '4'],
      ['prune', ['3']],
      ['switchTo', null],
    ],
  };
}

/** A shorter life, and what the next process does when this one was killed after so many calls. */
export function killedPackageJob(
  kind: PackageName,
  dir: string,
): { job: Job; again: (dir: string, callsDone: number) => Job } {
  const calls: PackageCall[] = [
    ['prepare', '1', false],
    ['switchTo', '1'],
    ['prepare', '2', false],
    ['switchTo', '2'],
    ['prepare', '1', true],
    ['switchTo', null],
  ];
  const again = (place: string, callsDone: number): Job => {
    const cutShort = calls[Math.min(callsDone, calls.length - 1)];
    return { kind, dir: place, calls: callsAfter(cutShort) };
  };
  return { job: { kind, dir, calls }, again };
}

/** The call that was cut short, and what the agent does next when it was a `prepare`. */
function callsAfter(call: PackageCall | undefined): PackageCall[] {
  if (call?.[0] === 'prepare') {
    return [
      ['prepare', call[1], false],
      ['switchTo', call[1]],
    ];
  }
  return [['switchTo', call?.[0] === 'switchTo' ? call[1] : null]];
}

export function adoptionJob(kind: PackageName, root: string): Job {
  return {
    kind,
    dir: join(root, 'opt', 'payments'),
    adopt: join(root, 'given', 'old'),
    calls: [['adopt'], ['prepare', '1', false], ['switchTo', '1'], ['switchTo', ADOPTED]],
  };
}

/** A journal from its first line past its compaction (at 256 KiB), and on. */
export function journalJob(path: string): Job {
  const large = 60_000;
  return {
    kind: 'journal',
    path,
    calls: [
      ['load'],
      ['append', 1, 0],
      ['append', 2, 0],
      ...[3, 4, 5, 6, 7].map((n): ['append', number, number] => ['append', n, large]),
      ['append', 8, 0],
      ['append', 9, 0],
    ],
  };
}
