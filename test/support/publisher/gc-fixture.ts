import { afterEach, beforeEach } from 'vitest';
import '../../../publisher/fleet/ec2.ts';
import type { Finding } from '../../../publisher/cleanup/finding.ts';
import { gc } from '../../../publisher/commands/gc.ts';
import type { Kind } from '../../../publisher/plan/gc-kinds.ts';
import { type FakeEc2, startFakeEc2 } from '../cloud/fake-ec2.ts';
import { HandClock, openStage, type Stage } from './stage.ts';

export const HOUR = 3_600_000;
export const LIVE = 'i-0000000a';

/** Open while a test runs whose file calls `openGcStage`; the environment may ask EC2. */
export let ec2: FakeEc2;
export let stage: Stage;
export function openGcStage(): void {
  beforeEach(async () => {
    ec2 = await startFakeEc2();
    stage = await openStage({ change: { ec2: true } });
    Object.assign(process.env, ec2.env);
  });
  afterEach(async () => {
    delete process.env.AWS_ENDPOINT_URL_EC2;
    await stage.close();
    await ec2.stop();
  });
}

/** A session with the permissions of this role, until the variable is set back. */
export async function openAs(role: string, clock?: HandClock) {
  process.env.AWS_ACCESS_KEY_ID = role;
  return await stage.open(clock);
}

/** Two hours later, when queues that were just made are not young any more. */
export async function run(
  change: Partial<Parameters<typeof gc>[1]> = {},
  { later = 2 * HOUR }: { later?: number } = {},
) {
  const clock = new HandClock();
  clock.advance(later);
  const session = await openAs('gc', clock);
  try {
    const answer = await clock.during(gc(session, { deletes: true, ...change }), 250);
    return { ...answer, events: session.events };
  } finally {
    process.env.AWS_ACCESS_KEY_ID = 'publisher';
  }
}
export const shown = (findings: readonly Finding[], kind?: Kind) =>
  findings
    .filter((one) => kind === undefined || one.kind === kind)
    .map(({ state, name }) => `${state} ${name}`);
export const objects = (prefix = '') => stage.cloud.objects(stage.bucket, prefix);
