import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { deploy } from '../../publisher/commands/deploy.ts';
import { loadEnvironment } from '../../publisher/config/load.ts';
import { openRecord } from '../../publisher/record/record.ts';
import { openSession } from '../../publisher/session.ts';
import { startCrowd } from '../bench/scale/crowd.ts';
import type { RequestRecord } from '../support/cloud/requests.ts';
import { setupOf } from '../support/commands.ts';
import { ENV, type Fleet, startFleet } from '../support/fleet/fleet.ts';
import { ALL_AT_ONCE } from '../support/publisher/rollout-options.ts';
import { HandClock } from '../support/publisher/stage.ts';
import { countedCalls } from '../support/scale/counted.ts';
import { agentOfDeployment, mostReceives, publisherOfDeployment, times } from '../support/scale/formula.ts';

/**
 * What a deployment to many simulated agents asks of AWS, against the formula of docs/SCALE.md. The clock of the publisher
 * stands still: on a slow machine it would announce again to those that are late.
 */

/** With 1,000, the machine must be idle: a call that takes 30 s is repeated. */
const AGENTS = Number(process.env.TRIGGER_DEPLOY_AGENTS ?? 100);
const EACH = 250;

let fleet: Fleet;
const crowds: ChildProcess[] = [];

beforeAll(async () => {
  fleet = await startFleet();
  for (let first = 1; first <= AGENTS; first += EACH) {
    crowds.push(
      await startCrowd(
        { directory: fleet.dir, cloud: fleet.cloud },
        first,
        Math.min(EACH, AGENTS - first + 1),
      ),
    );
  }
  const setup = await setupOf(fleet);
  for (const version of ['1.0.0', '1.0.1']) await setup.pushed('app', version);
}, 300_000);
afterAll(async () => {
  for (const crowd of crowds) crowd.kill('SIGTERM');
  await Promise.all(crowds.map((one) => (one.exitCode === null ? once(one, 'exit') : undefined)));
  await fleet?.stop();
});

test('a deployment to many agents makes the calls of the formula', async () => {
  const { requests } = fleet.cloud;
  const byInstance = ({ accessKeyId }: RequestRecord) => accessKeyId?.startsWith('session-') ?? false;
  const source = { cwd: fleet.publisherDir, home: fleet.dir, variables: {}, file: undefined };
  const env = await loadEnvironment(source, { name: ENV, orHome: false });
  const { signal } = new AbortController();
  const session = await openSession(env, { signal, emit: () => undefined, environment: {} });
  onTestFinished(() => session.close());
  const clock = new HandClock();
  const record = openRecord({ ...session, clock, warn: () => undefined });
  let from = 0;
  const since = (which: (request: RequestRecord) => boolean) => requests.slice(from).filter(which);
  const deletes = () => since(({ operation, status }) => operation === 'DeleteMessage' && status === 200);
  // The first deployment of a service asks for a few things more.
  for (const version of ['1.0.0', '1.0.1']) {
    from = requests.length;
    const options = { ...ALL_AT_ONCE, service: 'app', version, timeoutMs: 600_000 };
    expect(await deploy({ ...session, clock, record }, options)).toBe(0);
    await expect.poll(() => deletes().length, { timeout: 60_000 }).toBe(2 * AGENTS);
  }

  const formula = times(agentOfDeployment('archive'), AGENTS);
  const own = countedCalls(since(byInstance));
  // These follow from what an agent is told, and not from when. A simulated agent reads no file and no desired state.
  for (const name of ['SQS DeleteMessage', 'SQS GetQueueUrl', 'S3 PutObject']) {
    expect([name, own[name]]).toEqual([name, formula[name]]);
  }
  expect(own['SQS SendMessageBatch']).toBeGreaterThanOrEqual(AGENTS);
  expect(own['SQS SendMessageBatch']).toBeLessThanOrEqual(formula['SQS SendMessageBatch'] ?? 0);

  const { 'SQS ReceiveMessage': received = 0, ...rest } = countedCalls(
    since((request) => !byInstance(request)),
  );
  expect(rest).toEqual(publisherOfDeployment(AGENTS));
  expect(received).toBeLessThanOrEqual(mostReceives(AGENTS, 'archive'));
}, 300_000);
