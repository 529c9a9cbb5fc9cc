import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Job } from './driver.ts';
import type { Event } from './events.ts';
import { type Expectations, expectationsOf } from './expectations.ts';
import { createDisk, type Disk } from './model.ts';
import { eventsOf, layOut, markOf, quickDirectory, record } from './recording.ts';
import type { Op } from './trace.ts';
import { digestOf, type Tree } from './tree.ts';

export interface Cuts {
  /** Moments at which the power was cut: before the first change, and after each. */
  points: number;
  /** States that were laid out and opened: several for each moment, those that differ. */
  states: number;
}

/** Where the job's directory or journal lies, of a root that is laid out elsewhere. */
const relocate = (root: string, place: string) => (other: string) => join(other, place.slice(root.length));

const isStaging = (name: string) => name === '.staging';
const placeOf = (job: Job) => (job.kind === 'journal' ? job.path : job.dir);

/** Cuts the power after each change that the job made below `root`, and opens whatever may then be found. */
export async function cutEverywhere(job: Job, root: string): Promise<Cuts> {
  const scratch = await quickDirectory();
  const disk = createDisk(root);
  const expectations = expectationsOf(job, relocate(root, placeOf(job)), { afresh: true });
  const cuts: Cuts = { points: 0, states: 0 };
  const seen = new Set<string>();
  const cut = async () => {
    cuts.points += 1;
    await openAll(disk.afterPowerCut(), expectations, { scratch, seen, cuts });
  };
  for (const event of eventsOf(await record([job]))) {
    const changed = disk.apply(event);
    const mark = markOf(event);
    if (mark) {
      expectations.heed(mark);
    }
    if (changed || mark) await cut();
  }
  return cuts;
}

async function openAll(
  trees: readonly Tree[],
  expectations: Expectations,
  { scratch, seen, cuts }: { scratch: string; seen: Set<string>; cuts: Cuts },
): Promise<void> {
  for (const tree of trees) {
    const digest = digestOf(tree, isStaging) + expectations.key();
    if (seen.has(digest)) continue;
    seen.add(digest);
    cuts.states += 1;
    const place = join(scratch, `${cuts.states}`);
    await layOut(tree, place);
    await expectations.check(place);
    await rm(place, { recursive: true });
  }
}

/**
 * Kills the process after each change that the job made, so that all it did is seen by the next one, which
 * carries out `again` and reports that it is done; then the power is cut, and only what is on disk counts.
 */
export async function killThenCut(
  job: Job,
  again: (place: string, callsDone: number) => Job,
  root: string,
): Promise<Cuts> {
  const first = eventsOf(await record([job]));
  const scratch = await quickDirectory();
  const lives = killedLives(first, root);
  const jobs: Job[] = [];
  for (const [n, { tree, callsDone }] of lives.entries()) {
    const home = join(scratch, `life-${n}`);
    await layOut(tree, home);
    jobs.push(again(relocate(root, placeOf(job))(home), callsDone));
  }
  const second = await record(jobs);
  const cuts: Cuts = { points: lives.length, states: 0 };
  const seen = new Set<string>();
  for (const [n, { upTo }] of lives.entries()) {
    const next = jobs[n] as Job;
    const home = join(scratch, `life-${n}`);
    const disk = createDisk(root);
    for (const event of first.slice(0, upTo)) disk.apply(event);
    const expectations = expectationsOf(next, relocate(home, placeOf(next)), { afresh: false });
    for (const event of eventsOf(ofLife(second, n, home, root))) {
      disk.apply(event);
      const mark = markOf(event);
      if (mark) expectations.heed(mark);
      if (mark?.phase === 'end') await openAll(disk.afterPowerCut(), expectations, { scratch, seen, cuts });
    }
  }
  return cuts;
}

interface Life {
  /** How many events of the recording it saw. */
  upTo: number;
  tree: Tree;
  callsDone: number;
}

function killedLives(events: readonly Event[], root: string): Life[] {
  const disk: Disk = createDisk(root);
  const lives: Life[] = [];
  let callsDone = 0;
  for (const [index, event] of events.entries()) {
    const changed = disk.apply(event);
    if (markOf(event)?.phase === 'end') callsDone += 1;
    if (changed) lives.push({ upTo: index + 1, tree: disk.visible(), callsDone });
  }
  return lives;
}

/** The calls of one of the lives, between its first mark and its last, as if they had been made below `root`. */
function ofLife(ops: readonly Op[], job: number, home: string, root: string): Op[] {
  const marks = ops.filter((op) => op.op === 'mark' && (JSON.parse(op.text) as { job: number }).job === job);
  const [from = 0, to = 0] = [marks.at(0)?.begin, marks.at(-1)?.end];
  const moved = (path: string) => (path.startsWith(home) ? root + path.slice(home.length) : path);
  return ops
    .filter((op) => op.begin >= from && op.end <= to)
    .map((op): Op => {
      switch (op.op) {
        case 'open':
        case 'mkdir':
        case 'syncfs':
        case 'unlink':
        case 'rmdir':
        case 'symlink':
          return { ...op, path: moved(op.path) };
        case 'rename':
        case 'link':
          return { ...op, from: moved(op.from), to: moved(op.to) };
        default:
          return op;
      }
    });
}
