import { afterEach, beforeEach, expect, it } from 'vitest';
import { confirm } from '../../publisher/commands/confirm.ts';
import { type DeployOptions, deploy } from '../../publisher/commands/deploy.ts';
import { pause, unpause } from '../../publisher/commands/pause.ts';
import type { PublisherEvent } from '../../publisher/events.ts';
import type { Strategy } from '../../publisher/plan/strategy.ts';
import { keys } from '../../shared/names.ts';
import type { Fault } from '../support/cloud/faults.ts';
import type { RequestRecord } from '../support/cloud/requests.ts';
import { userIdOf } from '../support/cloud/sqs.ts';
import { HandClock, never, notes, openStage, type Stage } from '../support/publisher/stage.ts';

/** What a publisher of a rolling deployment does while it waits: for a person, for silent instances, for AWS. */

const ROLLING: Strategy = {
  ...{ name: 'rolling', canary: { count: 1 }, batch: { count: 2 } },
  ...{ gate: 'none', autoConfirmMs: undefined, pauseBetweenMs: 0 },
};

let stage: Stage;
let clock: HandClock;
beforeEach(async () => {
  stage = await openStage();
  clock = new HandClock();
  for (const version of ['1.0.0', '1.1.0']) await stage.publish('payments', version);
  for (const instance of ['i-1', 'i-2', 'i-3']) await stage.agent(instance, undefined, '1.0.0');
});
afterEach(() => stage.close());

const options = (strategy: Partial<Strategy>, change: Partial<DeployOptions> = {}): DeployOptions => ({
  ...{ service: 'payments', version: '1.1.0', wait: true, timeoutMs: 60_000, allowMissing: 0 },
  ...{ maxFailures: 0, onFailure: 'rollback', detach: never(), ...change },
  strategy: { ...ROLLING, ...strategy } as Strategy,
});
const announced = () => stage.cloud.requests.filter(({ operation }) => operation === 'Publish').length;
const newest = async () => (await (await stage.open()).record.deployments.newest('payments'))?.value;
/** An instance that has a record, and no agent. */
function silent(instance: string): void {
  const record = stage.json(keys.instance('dev', 'payments', userIdOf('i-1')));
  const key = keys.instance('dev', 'payments', userIdOf(instance));
  stage.cloud.putObject(stage.bucket, key, JSON.stringify({ ...record, instance }));
}
async function until(look: () => unknown, step = 200): Promise<void> {
  await clock.during(
    (async () => {
      while (!(await look())) await clock.sleep(100, never());
    })(),
    step,
  );
}
const passes = (ms: number) => clock.during(clock.sleep(ms, never()));
const has = (events: readonly PublisherEvent[], type: PublisherEvent['type'], words = '') =>
  events.some((event) => event.type === type && JSON.stringify(event).includes(words));

it('an instance that counts as missing gets no repeated announcement at the gate', async () => {
  silent('i-4');
  const session = await stage.open(clock);
  const deploying = deploy(session, options({ canary: undefined, gate: 'person' }, { allowMissing: 1 }));
  await until(() => has(session.events, 'waiting'));
  const before = announced();
  await passes(60_000);
  expect(announced()).toBe(before);
  await confirm(await stage.open(), { deployment: (await newest())?.deployment ?? '' });
  expect(await clock.during(deploying, 200)).toBe(0);
  expect((await newest())?.rolling?.missing).toEqual(['i-4']);
});

it('the announcement is repeated to an instance that has not switched, but not during a pause, which does not make it late', async () => {
  const deaf = await stage.agent('i-4', () => [], '1.0.0');
  const orders = () => deaf.heard.filter(({ kind }) => kind === 'deploy');
  const session = await stage.open(clock);
  const deploying = deploy(session, options({ canary: { count: 4 } }));
  await until(() => has(session.events, 'wave'), 50);
  await until(() => orders().length > 0, 50);
  await pause(await stage.open(), { service: 'payments', reason: 'incident' });
  await until(() => has(session.events, 'note', 'incident'), 50);
  await passes(60_000);
  expect(orders()).toHaveLength(1);
  await unpause(await stage.open(), { service: 'payments' });
  await until(() => orders().length > 1, 50);
  expect(await clock.during(deploying)).toBe(3);
});

type Which = (request: RequestRecord) => boolean;
const isRead: Which = ({ service, operation }) => service === 's3' && /^(Get|List)/.test(operation);
const isRecord: Which = ({ operation, key }) =>
  operation === 'PutObject' && (key ?? '').endsWith('/deployment.jws');
/** The write of the outcome: all waves have passed before it. */
const isOutcome: Which = (request) => {
  const stored = isRecord(request) ? stage.deployment(request.key ?? '') : undefined;
  const { waves } = (stored?.rolling ?? { waves: [{}] }) as { waves: { passedAt?: string }[] };
  return waves.every(({ passedAt }) => passedAt !== undefined);
};

// The SDK tries four times; what is read is read by two at a time.
it.each<[string, Fault, Which, number]>([
  ['what it reads', 'unavailable', isRead, 12],
  ['what it writes', 'unavailable', isRecord, 6],
  ['the answer to what it writes', 'answer-lost', isRecord, 6],
  ['the outcome', 'unavailable', isOutcome, 6],
  ['the answer to the outcome', 'answer-lost', isOutcome, 6],
  ['what it announces', 'unavailable', ({ operation }) => operation === 'Publish', 6],
])(
  'once a wave has started it retries while AWS withholds %s, and succeeds',
  async (_title, fault, which, times) => {
    const session = await stage.open();
    const emit = (event: PublisherEvent) => {
      session.emit(event);
      if (event.type === 'wave' && event.wave === 1) stage.cloud.fail(fault, which, times);
    };
    expect(await deploy({ ...session, emit }, options({}))).toBe(0);
    expect(notes(session.events).filter((text) => text.includes('retrying for up to 1 min'))).not.toEqual([]);
    expect(session.events.filter(({ type }) => type === 'wave')).toHaveLength(2);
    expect(session.events.filter(({ type }) => type === 'settled')).toHaveLength(1);
    const record = await newest();
    expect(record).toMatchObject({ status: 'succeeded', exitCode: 0 });
    expect(record?.rolling?.waves.every(({ passedAt }) => passedAt)).toBe(true);
  },
  60_000,
);

it('it stops retrying after the time-out of a wave, and names the command to continue', async () => {
  const session = await stage.open(clock);
  const emit = (event: PublisherEvent) => {
    session.emit(event);
    if (event.type === 'wave') stage.cloud.fail('unavailable', isRecord, 10_000);
  };
  const deploying = deploy({ ...session, emit }, options({}));
  deploying.catch(() => undefined);
  await expect(clock.during(deploying)).rejects.toMatchObject({ code: 'AWS_UNREACHABLE' });
  expect(notes(session.events).at(-1)).toContain(
    'this publisher has stopped; to continue: trigger-deploy resume',
  );
}, 60_000);
