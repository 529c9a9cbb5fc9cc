import { expect } from 'vitest';
import { keys } from '../../../../shared/names.ts';
import { BUCKET, ENV, type Fleet } from '../../../support/fleet/fleet.ts';
import { deploymentIn } from '../../../support/publisher/announcements.ts';
import { withoutWaits } from '../../../support/publisher/events.ts';
import type { Service } from '../fleet/services.ts';
import { expectSettled } from '../fleet/settled.ts';
import {
  announcements,
  comingLater,
  type Killed,
  killedAt,
  lockOf,
  moveLockElsewhere,
  type Owner,
  recordOf,
  startPublisher,
} from './publishers.ts';
import type { RecordWatch } from './record-watch.ts';
import { recordedIds } from './record-watch.ts';
import { ended, expectAtRest, expectTrueRecord } from './true-record.ts';

/**
 * One story: a publisher is killed at its n-th write, another comes at once and is refused, and one comes when the
 * dead one has been silent for a minute.
 */
export interface Story {
  /** The command that is killed, and the next one; SERVICE and ID are replaced by the service and the deployment. */
  typed: readonly string[];
  next: readonly string[];
  /** Where it must end; where that depends on whether the outcome of the dead one's deployment is in the record, a function. */
  version: string | ((isSettled: boolean) => string);
}

export interface StoryResult {
  dead: Killed;
  owner: Owner | null;
  /** What the next one said. */
  said: string;
}

export async function runStory(
  service: Service,
  watch: RecordWatch,
  n: number,
  story: Story,
): Promise<StoryResult> {
  const { fleet, name } = service;
  const filledIn = (words: readonly string[], id = '') =>
    words.map((word) => (word === 'SERVICE' ? name : word === 'ID' ? id : word));
  const typed = filledIn(story.typed);
  const dead = await killedAt(fleet, n, typed);
  expect(dead.lived, `killed at write ${n} of ${typed}\n${dead.finished.stdout}`).toBe(false);
  expectTrueRecord(fleet, watch, name);
  const owner = lockOf(fleet, name)?.owner ?? null;
  if (owner) await expectRefused(service, typed, owner);

  const newest = recordedIds(watch, name).at(-1);
  const wasAnnounced = announcements(fleet, name).some(({ deployment }) => deployment === newest);
  if (wasAnnounced && story.next[0] !== 'watch') await ended(service);
  const version =
    typeof story.version === 'string' ? story.version : story.version(isSettled(fleet, name, newest));
  const next = filledIn(story.next, recordedIds(watch, name).at(-1));
  const { code, stdout, stderr } = await comingLater(fleet, name, next);
  expect(code, `${next} after a kill at write ${n}\n${stdout}${stderr}`).toBe(0);

  expect(watch.desired.get(name)?.at(-1)).toMatchObject({ version });
  await expectSettled(service, { version, watch });
  expectTrueRecord(fleet, watch, name);
  return { dead, owner, said: stdout };
}

function isSettled({ cloud }: Fleet, service: string, deployment = ''): boolean {
  const document = cloud.object(BUCKET, keys.deployment(ENV, service, deployment))?.body.toString();
  return document !== undefined && deploymentIn(document).status !== 'announced';
}

/** Refused with who, what and since when, how to follow, and how to take over; nothing is written. */
async function expectRefused(
  { fleet, name }: Service,
  typed: readonly string[],
  owner: Owner,
): Promise<void> {
  // Its heartbeat is new, and it ran on another machine: on its own machine a dead process is known to be dead.
  moveLockElsewhere(fleet, name);
  const before = recordOf(fleet, name);
  const refused = withoutWaits(await startPublisher(fleet, typed).finished);
  expect(refused, refused.stdout + refused.stderr).toMatchObject({ code: 4, stdout: '' });
  const [what, hint] = refused.stderr.split('\n');
  const { deployment, since, who, command } = owner;
  expect(what).toContain(`${name} is locked by ${who} (${command} ${deployment}) since ${since}, `);
  expect(hint).toContain(`trigger-deploy watch ${deployment} --env dev follows it`);
  expect(hint).toMatch(/if that publisher died, the lock expires in (\d+ s|1 min): retry then/);
  expect(recordOf(fleet, name)).toEqual(before);
}

/** What the next one says when it takes the dead one's lock over. */
export const takingOver = ({ who, command, deployment }: Owner, why: string) =>
  `from ${who} (${command} ${deployment}): ${why}`;

/** After all of it: no publisher holds the lock, all that was announced has ended once. The sequences that were used. */
export function sequencesOf(services: readonly Service[], watch: RecordWatch): number {
  let used = 0;
  for (const service of services) {
    expectTrueRecord(service.fleet, watch, service.name);
    expectAtRest(service, watch);
    used += new Set(watch.locks.get(service.name)?.map(({ sequence }) => sequence)).size;
  }
  return used;
}
