import { expect } from 'vitest';
import { keys } from '../../../../shared/names.ts';
import { isEnding } from '../../../../shared/states.ts';
import { userIdOf } from '../../../support/cloud/sqs.ts';
import { BUCKET, ENV, type Fleet } from '../../../support/fleet/fleet.ts';
import { deploymentIn, storedText } from '../../../support/publisher/announcements.ts';
import type { Service } from '../fleet/services.ts';
import { announcements, lockOf } from './publishers.ts';
import type { RecordWatch } from './record-watch.ts';

/** Resolves once the instance has put the end of its newest deployment that was announced into the record. */
export async function ended({ fleet, name, instance }: Service): Promise<void> {
  const deployment = announcements(fleet, name).at(-1)?.deployment ?? 'none';
  const key = keys.report(ENV, name, deployment, userIdOf(instance.id));
  await fleet.cloud.until((request) => {
    if (request !== fleet.cloud.requests[0]) return false;
    const stored = fleet.cloud.object(BUCKET, key);
    return stored !== undefined && isEnding(JSON.parse(stored.body.toString('utf8')).state);
  });
}

/** Everything that was announced has one ending on the instance, and no publisher holds the lock. */
export function expectAtRest({ fleet, name, instance }: Service, watch: RecordWatch): void {
  for (const { deployment } of announcements(fleet, name)) {
    const key = keys.report(ENV, name, deployment, userIdOf(instance.id));
    expect(watch.endings.get(key), key).toHaveLength(1);
  }
  expect(lockOf(fleet, name)?.owner).toBeNull();
}

/**
 * What must hold of the record of a service at any moment, whatever was killed: the lock's sequence only rises and is
 * never given to two, each deployment has one sequence and each sequence one deployment, what was announced and what
 * the desired state names is in the record, and a deployment that is said to have succeeded did.
 */
export function expectTrueRecord(fleet: Fleet, watch: RecordWatch, service: string): void {
  const locks = watch.locks.get(service) ?? [];
  const records = watch.records.get(service) ?? new Map<string, number>();
  const desired = watch.desired.get(service) ?? [];

  const holders = new Map<number, string>();
  let reached = 0;
  for (const { sequence, owner } of locks) {
    expect(sequence).toBeGreaterThanOrEqual(reached);
    reached = sequence;
    if (owner === undefined) continue;
    expect(holders.get(sequence) ?? owner, `sequence ${sequence} of ${service}`).toBe(owner);
    holders.set(sequence, owner);
  }

  const sequences = [...records.values()];
  expect(new Set(sequences).size, `two deployments of one sequence: ${sequences}`).toBe(sequences.length);
  for (const sequence of sequences) expect(sequence).toBeLessThanOrEqual(reached);

  for (const said of announcements(fleet, service)) {
    expect(records.get(said.deployment), `${said.deployment} was announced`).toBe(said.sequence);
  }
  let last = 0;
  for (const { deployment, sequence } of desired) {
    expect(records.get(deployment), `${deployment} is desired`).toBe(sequence);
    expect(sequence).toBeGreaterThan(last);
    last = sequence;
  }
  for (const deployment of records.keys()) expectTrueDeployment(fleet, service, deployment);
}

function expectTrueDeployment({ cloud }: Fleet, service: string, deployment: string): void {
  const read = (key: string) => JSON.parse(cloud.object(BUCKET, key)?.body.toString('utf8') ?? 'null');
  const { status, expected, version } = deploymentIn(
    storedText({ cloud }, keys.deployment(ENV, service, deployment)),
  ) as { status: string; expected: string[]; version: string };
  const reports = cloud.objects(BUCKET, keys.reports(ENV, service, deployment)).map(read);
  for (const report of reports) expect(report).toMatchObject({ deployment, service, version });
  if (status !== 'succeeded') return;
  for (const instance of expected) {
    expect(reports.find((one) => one.instance === instance)).toMatchObject({ state: 'succeeded' });
  }
  for (const { state } of reports) expect(isEnding(state)).toBe(true);
}
