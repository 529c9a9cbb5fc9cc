import { createDisk } from './model.ts';
import { eventsOf, markOf } from './recording.ts';
import type { Op } from './trace.ts';
import { digestOf, type Tree } from './tree.ts';

export interface Order {
  /** Renames that publish something: all but those that put something away in the staging. */
  published: number;
  fsyncs: number;
  /** Syncs of the whole file system. */
  syncs: number;
  problems: string[];
}

/**
 * Whether what was done below `root` was done in an order that survives a power cut:
 * a rename comes after the fsync of all that it publishes; a method ends after the fsync of every directory it
 * changed; and what was put away is removed only once nothing on the disk names it any more.
 */
export function orderOf(ops: readonly Op[], root: string): Order {
  const disk = createDisk(root);
  const order: Order = { published: 0, fsyncs: 0, syncs: 0, problems: [] };
  for (const event of eventsOf(ops)) {
    const { op, phase } = event;
    if (op.op === 'rename' && phase === 'begin' && op.to.startsWith(`${root}/`) && !isPutAway(op.to)) {
      order.published += 1;
      for (const what of disk.unsynced(op.from))
        order.problems.push(`${op.to} is published before the fsync of ${what}`);
    }
    if ((op.op === 'unlink' || op.op === 'rmdir') && isPutAway(op.path)) {
      const releases = `${op.path.slice(0, op.path.indexOf('/.staging'))}/releases`;
      if (disk.isPending(releases))
        order.problems.push(`${op.path} is removed before the fsync of ${releases}`);
    }
    const counts = disk.apply(event);
    if (counts && op.op === 'fsync') order.fsyncs += 1;
    if (counts && op.op === 'syncfs') order.syncs += 1;
    const mark = markOf(event);
    if (mark?.phase !== 'end') continue;
    const [there, kept] = [disk.visible(), disk.durable()].map((tree) => digestOf(withoutStaging(tree)));
    if (there !== kept) order.problems.push(`call ${mark.job}.${mark.call} ends before all of it is on disk`);
  }
  return order;
}

/** Into the directory of one work in the staging, from where only removals and renames follow. */
function isPutAway(path: string): boolean {
  return /\/\.staging\/[0-9a-f]{12}\/([^/]+|replaced\/.*)$/.test(path);
}

function withoutStaging(tree: Tree): Tree {
  const rest: Tree = new Map();
  for (const [name, node] of tree) {
    if (!('tree' in node)) rest.set(name, node);
    else rest.set(name, { tree: name === '.staging' ? new Map() : withoutStaging(node.tree) });
  }
  return rest;
}
