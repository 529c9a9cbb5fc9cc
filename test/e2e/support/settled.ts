import { posix } from 'node:path';
import { expect } from 'vitest';
import { RECORD_NAME } from '../../../shared/names.ts';
import type { Report } from '../../../shared/report.ts';
import { isEnding } from '../../../shared/states.ts';
import type { RecordWatch } from '../../fault/support/publisher/record-watch.ts';
import { userIdOf } from '../../support/cloud/sqs.ts';
import { BUCKET, ENV, type Fleet } from '../../support/fleet/fleet.ts';
import { type Named, versionOf } from './services.ts';
import type { Host } from './site.ts';

/** The endings that one instance has in the record, oldest deployment first. */
export function endingsOf({ cloud }: Fleet, { id }: Host, service: string): Report[] {
  return cloud
    .objects(BUCKET, `state/${ENV}/${service}/deployments/`)
    .filter((key) => key.endsWith(`/reports/${userIdOf(id)}.json`))
    .map((key) => JSON.parse(cloud.object(BUCKET, key)?.body.toString('utf8') ?? '') as Report)
    .filter(({ state }) => isEnding(state));
}

const ENDED = expect.stringMatching(/^(succeeded|rolled-back|failed|superseded|cancelled|rejected)$/);

/**
 * What must hold after any fault for a jar or an archive: `current` is this version and complete, the service runs it,
 * last-good exists, and each deployment has exactly one ending on this instance.
 */
export async function expectSettled(
  host: Host,
  service: Named,
  version: string,
  watch: RecordWatch,
): Promise<void> {
  const dir = `/opt/${service}`;
  await expect.poll(() => versionOf(host, service), { timeout: 30_000 }).toBe(version);
  await expect
    .poll(() => statusOf(host, service), { timeout: 30_000, interval: 500 })
    .toMatchObject({ version, undelivered: 0, state: ENDED });
  const record = await host.read(posix.join(dir, 'current', RECORD_NAME));
  expect(JSON.parse(record ?? '{}')).toMatchObject({ version });
  const mine = [...watch.endings].filter(
    ([key]) => key.includes(`/${service}/`) && key.endsWith(`/${userIdOf(host.id)}.json`),
  );
  expect(mine.length).toBeGreaterThan(0);
  for (const [key, reports] of mine) expect(reports, key).toHaveLength(1);
}

/** What `trigger-deploy-agent status` says of a service. */
export async function statusOf(host: Host, service: string): Promise<Record<string, unknown>> {
  const { stdout, output } = await host.agent('status', '--json');
  try {
    const said = JSON.parse(stdout) as unknown;
    const rows = (Array.isArray(said) ? said : (said as { services: unknown[] }).services) as {
      service: string;
    }[];
    return rows.find((row) => row.service === service) ?? {};
  } catch {
    return { output };
  }
}
