import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { swept } from '../../../../agent/host/fs/sweeper.ts';
import type { Job, Mark, PackageCall } from './driver.ts';
import {
  ADOPTED,
  artifactsOf,
  contentsOf,
  numberOf,
  openJournal,
  openPackage,
  type PackageName,
  prepare,
  readContents,
  stateOf,
} from './world.ts';

/** What must hold of a package's directory, or a journal, whenever the power went, given what had been promised. */
export interface Expectations {
  /** A call of the port began or ended. */
  heed(mark: Mark): void;
  /** Opens what is left in `place` with the real code, and goes on with it. @throws when a promise was broken. */
  check(place: string): Promise<void>;
  /** Whatever else it is that `check` goes by. */
  key(): string;
}

/** `afresh`: nothing was there when the job began; else what is current is known from its first switch on. */
export function expectationsOf(
  job: Job,
  place: (root: string) => string,
  { afresh }: { afresh: boolean },
): Expectations {
  return job.kind === 'journal' ? ofJournal(job, place) : ofPackage(job, place, afresh);
}

function ofPackage(
  job: Extract<Job, { kind: PackageName }>,
  placeIn: (root: string) => string,
  afresh: boolean,
): Expectations {
  /** Releases that were promised to be there. */
  const promised = new Set<string>();
  /** What `current` may be: two versions while it is being changed. */
  let current = afresh ? new Set<string | null>([null]) : undefined;
  let underWay: PackageCall | undefined;

  function begun(call: PackageCall): void {
    underWay = call;
    if (call[0] === 'prepare' && call[2] && !current?.has(call[1])) promised.delete(call[1]);
    if (call[0] === 'switchTo') current?.add(call[1]);
    if (call[0] === 'adopt') current?.add(ADOPTED);
    if (call[0] !== 'prune') return;
    for (const version of promised) {
      if (!call[1].includes(version) && !current?.has(version)) promised.delete(version);
    }
  }

  return {
    heed(mark) {
      const call = job.calls[mark.call];
      if (!call) return;
      if (mark.phase === 'begin') return begun(call);
      underWay = undefined;
      if (call[0] === 'prepare') promised.add(call[1]);
      if (call[0] === 'switchTo') current = new Set([call[1]]);
      if (call[0] === 'adopt') {
        current = new Set([ADOPTED]);
        promised.add(ADOPTED);
      }
    },

    key: () => JSON.stringify([[...promised], [...(current ?? [])], underWay]),

    async check(root) {
      const dir = placeIn(root);
      const pkg = openPackage(job.kind, dir);
      const found = await pkg.current();
      if (current) expect([...current], `current is ${found}`).toContain(found);
      const listed = (await pkg.releases()).map(({ version }) => version);
      expect(listed).toEqual(expect.arrayContaining([...promised]));
      if (found !== null) expect(listed).toContain(found);
      for (const release of await pkg.releases()) await assertWhole(job.kind, dir, release);
      await goOn(job.kind, dir, underWay);
    },
  };
}

async function assertWhole(
  kind: PackageName,
  dir: string,
  { version, artifacts }: { version: string; artifacts: readonly unknown[] },
): Promise<void> {
  expect(await readContents(join(dir, 'releases', version))).toEqual(contentsOf(kind, version));
  expect(artifacts).toEqual(version === ADOPTED ? [] : artifactsOf(kind, version));
}

/** The call that was cut short is made again, as the agent's next start does, and a new version comes in any case. */
async function goOn(kind: PackageName, dir: string, underWay: PackageCall | undefined): Promise<void> {
  const pkg = openPackage(kind, dir);
  if (underWay?.[0] === 'prepare') await prepare(pkg, underWay[1], underWay[2]);
  if (underWay?.[0] === 'switchTo') await pkg.switchTo(underWay[1]);
  const next = underWay?.[0] === 'prepare' ? underWay[1] : '9';
  await prepare(pkg, next);
  await pkg.switchTo(next);
  expect(await pkg.current()).toBe(next);
  await assertWhole(kind, dir, { version: next, artifacts: artifactsOf(kind, next) });
  await swept();
  expect(await readdir(join(dir, '.staging'))).toEqual([]);
  expect((await readdir(dir)).sort()).toEqual(['.staging', 'current', 'releases']);
}

function ofJournal(job: Extract<Job, { kind: 'journal' }>, placeIn: (root: string) => string): Expectations {
  let promised = 0;
  let newest = 0;
  return {
    heed(mark) {
      const call = job.calls[mark.call];
      if (call?.[0] === 'append') {
        newest = call[1];
        if (mark.phase === 'end') promised = call[1];
      } else if (mark.phase === 'end') {
        // What was read is acted on: from now on it must not be forgotten.
        promised = Number(mark.result);
      }
    },
    key: () => `${promised} ${newest}`,
    async check(root) {
      const path = placeIn(root);
      const journal = openJournal(path);
      const found = numberOf((await journal.load()).state);
      expect(found).toBeGreaterThanOrEqual(promised);
      expect(found).toBeLessThanOrEqual(Math.max(newest, promised));
      await journal.append(stateOf(99));
      expect(await openJournal(path).load()).toEqual({ state: stateOf(99), quarantined: undefined });
    },
  };
}
