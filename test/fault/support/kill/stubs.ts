import { readdirSync } from 'node:fs';
import { readdir, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ArtifactStore, DesiredStore, Journal, Reporter } from '../../../../agent/deploy/ports.ts';
import type { Inbox } from '../../../../agent/loop/ports.ts';
import type { World } from './plan.ts';
import type { Events, Tripwire } from './wire.ts';

/** The cloud of the kill matrix: queue, bucket and record are files, so that they survive a kill. */

/** Messages are files: receive reads one, delete unlinks it, and one that is not deleted is delivered again. */
export function fileInbox(root: string, world: World, events: Events): Inbox & { isEmpty(): boolean } {
  const directory = join(root, 'inbox');
  const names = async () => (await readdir(directory)).sort();
  return {
    async ensure() {},
    async resubscribe() {
      return false;
    },
    async receive(signal) {
      const { promise: aborted, reject } = Promise.withResolvers<never>();
      aborted.catch(() => {});
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      for (;;) {
        const { changed } = events;
        signal.throwIfAborted();
        const [first] = await names();
        const gate = first === undefined ? undefined : world.gates[first];
        if (first !== undefined && (gate === undefined || events.count(gate) > 0)) {
          return [
            {
              body: await readFile(join(directory, first), 'utf8'),
              receiptHandle: first,
              sentAt: Date.now(),
            },
          ];
        }
        await Promise.race([changed, aborted]);
      }
    },
    async delete({ receiptHandle }) {
      await unlink(join(directory, receiptHandle));
    },
    isEmpty: () => readdirSync(directory).length === 0,
  };
}

/** Streams an artifact in two halves; `atHalf` is called after the first. */
export function fileStore(world: World, events: Events, atHalf: () => void): ArtifactStore {
  return {
    async read({ version, artifact, start, end, signal }) {
      const bytes = (await readFile(join(world.bucket, artifact.sha256))).subarray(start, end);
      const half = bytes.length >> 1;
      async function* halves() {
        yield bytes.subarray(0, half);
        atHalf();
        if (world.stuck.includes(version)) {
          events.say({ what: 'stuck', version });
          const { promise, reject } = Promise.withResolvers<never>();
          signal.addEventListener('abort', () => reject(signal.reason), { once: true });
          await promise;
        }
        yield bytes.subarray(half);
      }
      return halves();
    },
  };
}

export function fileDesired(root: string): DesiredStore {
  const path = join(root, 'desired.jws');
  return {
    async read(_service, knownEtag) {
      const text = await readFile(path, 'utf8').catch(() => undefined);
      if (text === undefined) return 'absent';
      return knownEtag === text ? 'unchanged' : { text, etag: text };
    },
  };
}

/** The record is events.jsonl: a delivered report is on disk when `deliver` resolves. */
export function eventReporter(wire: Tripwire, events: Events): Reporter {
  return {
    progress(report) {
      wire.callNow('reporter.progress', () => events.say({ what: 'report', report }));
    },
    async deliver(report) {
      await nextTurn();
      events.say({ what: 'delivered', report });
    },
    async putInstance(record) {
      await nextTurn();
      events.say({ what: 'instance', record });
    },
  };
}

/** The journal, with an event for each state once it is on disk. */
export function journalWithEvents(journal: Journal, events: Events): Journal {
  return {
    load: () => journal.load(),
    async append(state) {
      await journal.append(state);
      const { active, waiting, endings } = state;
      events.say({
        what: 'journal',
        active: active && {
          deployment: active.order.deployment,
          state: active.state,
          direction: active.direction,
          hooksDone: active.hooksDone,
          n: active.n,
        },
        waiting: waiting?.deployment,
        endings: endings.map(({ report }) => `${report.deployment} ${report.state}`),
      });
    },
  };
}
