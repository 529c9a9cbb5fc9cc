import { basename } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * The files that take minutes begin first, so that none of them runs alone at the end. Vitest itself begins with the
 * largest files where it has no times of an earlier run, and some of the slowest are small.
 */

/** The slowest first. */
const SLOW = [
  ...['power-off', 'reexec', 'reexec-deb', 'self-update', 'deb'],
  ...['kill-matrix.long', 'many-files.long', 'message-faults-hostile.long', 'publisher-faults-dead.long'],
  ...['cloud-faults-slow.long', 'power-loss.long', 'disk-faults-agent.long'],
  ...['publisher-outage', 'waves', 'cancel', 'promote', 'doctor', 'wait', 'put-back-together', 'watch'],
  ...['bad-versions', 'bad-order', 'failed-checks', 'bad-artifacts', 'bad-commands', 'story'],
  ...['service-faults-restart', 'state-files', 'service-faults-broken', 'power-loss', 'kill-matrix'],
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const others = await super.sort(files);
    return others.toSorted((a, b) => rank(a) - rank(b));
  }
}

function rank({ moduleId }: TestSpecification): number {
  const place = SLOW.indexOf(basename(moduleId, '.test.ts'));
  return place < 0 ? SLOW.length : place;
}
