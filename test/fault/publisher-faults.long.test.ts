import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mapLimit } from '../../publisher/record/map-limit.ts';
import { keys } from '../../shared/names.ts';
import { ENV, type Fleet, startFleet } from '../support/fleet/fleet.ts';
import { openSetup } from '../support/fleet/setup.ts';
import type { Finished } from '../support/programs.ts';
import { deploymentIn, storedText } from '../support/publisher/announcements.ts';
import { proved } from '../support/reliability.ts';
import { addServices, type Service } from './support/fleet/services.ts';
import { expectSettled } from './support/fleet/settled.ts';
import { sequencesOf, takingOver } from './support/publisher/killed-publisher.ts';
import {
  isStep,
  killedAt,
  lockOf,
  moveLockElsewhere,
  putBackLock,
  startPublisher,
  tapTopic,
} from './support/publisher/publishers.ts';
import { type RecordWatch, recordedIds, watchRecord } from './support/publisher/record-watch.ts';
import { ended, expectTrueRecord } from './support/publisher/true-record.ts';

/**
 * Publishers that are killed also between their writes, each with a service of its own. Every other one has died on
 * this machine, where its process is known to have ended; the rest on another, where S3's own clock shows the silence.
 */

type Kind = 'deploy' | 'rollback';
const GOAL = { deploy: '1.1.0', rollback: '1.0.0' } as const;
const typedFor = (kind: Kind, service: string) =>
  kind === 'deploy' ? [service, '1.1.0'] : ['rollback', service];

const POINTS = [
  ...[1, 3, 5, 7, 9, 11, 12, 13, 15, 17, 19].map((n) => ({ kind: 'deploy', n }) as const),
  ...[1, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20].map((n) => ({ kind: 'rollback', n }) as const),
].map((point) => ({ ...point, name: `${point.kind}-at-${point.n}` }));

let fleet: Fleet;
let watch: RecordWatch;
let services: Record<string, Service>;
const results = new Map<string, { takeovers: number } | Error>();

beforeAll(async () => {
  fleet = await startFleet();
  watch = watchRecord(fleet.cloud);
  await tapTopic(fleet);
  services = await addServices(
    fleet,
    'i-0a1',
    Object.fromEntries(POINTS.map(({ name }) => [name, { watch: '0s' }])),
  );
  const setup = await openSetup(fleet);
  await mapLimit(POINTS, 4, async ({ name, kind }) => {
    await setup.deployed(name, '1.0.0');
    if (kind === 'deploy') await setup.pushed(name, '1.1.0');
    else await setup.deployed(name, '1.1.0');
  });
  setup.close();
  await mapLimit(POINTS, POINTS.length, async (point) => {
    results.set(point.name, await story(point).catch((error) => error));
  });
}, 600_000);
afterAll(() => fleet?.stop());

/** Returns how often a lock was taken over. */
async function story({ name, kind, n }: (typeof POINTS)[number]): Promise<{ takeovers: number }> {
  const service = services[name] as Service;
  const typed = typedFor(kind, name);
  const before = recordedIds(watch, name).length;
  const dead = await killedAt(fleet, n, typed, isStep);
  expectTrueRecord(fleet, watch, name);
  const owner = lockOf(fleet, name)?.owner;
  const elsewhere = POINTS.findIndex((point) => point.name === name) % 2 === 0;
  if (owner && elsewhere) {
    moveLockElsewhere(fleet, name);
    putBackLock(fleet, name, 61_000);
  }

  const id = recordedIds(watch, name)[before];
  const announced = dead.asked.some(({ operation }) => operation === 'Publish');
  const said: string[] = [];
  const run = async (args: readonly string[], ...codes: number[]) => {
    const next: Finished = await startPublisher(fleet, args).finished;
    expect(codes, `${args} after a kill at request ${n}\n${next.stdout}${next.stderr}`).toContain(next.code);
    said.push(next.stdout);
    return next.code;
  };
  if (announced) await ended(service);
  if (id === undefined) await run(typed, 0);
  else if (!announced) {
    // Where it is desired the instances come to it by themselves, within a minute or after.
    const desired = watch.desired.get(name)?.at(-1)?.deployment === id;
    const code = desired ? await run(['watch', id], 0, 3) : await run(['watch', id], 3);
    if (code === 3) await run(typed, 0);
  } else if (statusOf(name, id) !== 'announced') await run([name, GOAL[kind]], 0);
  else await run(n % 2 === 0 ? ['watch', id] : typed, 0);

  const why = elsewhere ? 'no heartbeat for ' : `its process ${owner?.pid} on this machine has ended`;
  const takeovers = said.filter((text) => owner && text.includes(takingOver(owner, why))).length;
  expect(takeovers).toBe(owner ? 1 : 0);
  expect(watch.desired.get(name)?.at(-1)).toMatchObject({ version: GOAL[kind] });
  await expectSettled(service, { version: GOAL[kind], watch });
  expectTrueRecord(fleet, watch, name);
  return { takeovers };
}

function statusOf(service: string, id: string): string {
  return String(deploymentIn(storedText(fleet, keys.deployment(ENV, service, id))).status);
}

describe('killed in the middle of it', () => {
  test.each(POINTS)('a publisher leaves a true record, and the next one finds its way: $name', ({ name }) => {
    const one = results.get(name);
    if (one === undefined || one instanceof Error) throw one ?? new Error(`${name} was never tried`);
  });

  test('all of them leave the locks free in the end, and used no sequence twice', () => {
    const used = sequencesOf(Object.values(services), watch);
    const takeovers = [...results.values()].map((one) => (one instanceof Error ? 0 : one.takeovers));
    const taken = takeovers.filter((times) => times > 0).length;
    // On a loaded machine the signal comes late, and more of them have freed their lock by then.
    expect(taken).toBeGreaterThan(POINTS.length / 4);
    proved(
      'publisher-killed',
      `killed at ${POINTS.length} requests, ${taken} locks taken over, ${used} sequences, none twice`,
    );
  });
});
