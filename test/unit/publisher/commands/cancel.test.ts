import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cancel } from '../../../../publisher/commands/cancel.ts';
import { confirm } from '../../../../publisher/commands/confirm.ts';
import { type DeployOptions, deploy } from '../../../../publisher/commands/deploy.ts';
import { restart } from '../../../../publisher/commands/restart.ts';
import { rollback } from '../../../../publisher/commands/rollback.ts';
import { watch } from '../../../../publisher/commands/watch.ts';
import type { Strategy } from '../../../../publisher/plan/strategy.ts';
import { decisionLines } from '../../../../publisher/render/decision.ts';
import { createLines } from '../../../../publisher/render/lines.ts';
import { keys } from '../../../../shared/names.ts';
import type { State } from '../../../../shared/states.ts';
import type { FakeAgent } from '../../../support/publisher/fake-agent.ts';
import { HandClock, never, notes, openStage, type Stage } from '../../../support/publisher/stage.ts';
import { proved } from '../../../support/reliability.ts';

const ROLLING: Strategy = {
  ...{ name: 'rolling', canary: { count: 1 }, batch: { count: 1 } },
  ...{ gate: 'none', autoConfirmMs: undefined, pauseBetweenMs: 0 },
};
const person: Strategy = { ...ROLLING, gate: 'person' };

let stage: Stage;
let agents: FakeAgent[];
/** What 1.1.0 on i-3, of the last wave, waits for before it ends. */
let ending: PromiseWithResolvers<void>;
beforeEach(async () => {
  stage = await openStage();
  ending = Promise.withResolvers();
  for (const version of ['1.0.0', '1.1.0']) await stage.publish('payments', version);
  agents = await Promise.all(
    [1, 2, 3].map((n) => {
      const script = async ({ version }: { version: string }): Promise<State[]> => {
        if (n === 3 && version === '1.1.0') await ending.promise;
        return ['switching', 'checking', 'succeeded'];
      };
      return stage.agent(`i-${n}`, script, '1.0.0');
    }),
  );
  const first = options({ version: '1.0.0', strategy: { name: 'all' } });
  expect(await deploy(await stage.open(), first)).toBe(0);
}, 60_000);
afterEach(async () => {
  ending.resolve();
  await stage.close();
});

const options = (change: Partial<DeployOptions> = {}): DeployOptions => ({
  ...{ service: 'payments', version: '1.1.0', wait: true, timeoutMs: 30_000, allowMissing: 0 },
  ...{ maxFailures: 0, onFailure: 'rollback', strategy: ROLLING, detach: never(), ...change },
});
const desired = async () => (await (await stage.open()).record.desired.read('payments'))?.value.version;
const newest = async () => (await (await stage.open()).record.deployments.newest('payments'))?.value;
const until = (look: () => unknown) => expect.poll(look, { timeout: 20_000 }).toBeTruthy();
/** How many agents got the announcement to switch to 1.1.0. */
const announcedTo = () =>
  agents.filter((agent) =>
    agent.heard.some(
      (said) => said.kind === 'deploy' && said.version === '1.1.0' && said.targets?.includes(agent.instance),
    ),
  ).length;

describe('a gate', { timeout: 60_000 }, () => {
  it('closes on cancel, from any machine: the canary rolls back, and no other instance switches', async () => {
    const session = await stage.open();
    const deploying = deploy(session, options({ strategy: person }));
    await until(() => session.events.find((event) => event.type === 'waiting'));
    const id = (await newest())?.deployment ?? '';
    const back = { service: 'payments', wait: true, timeoutMs: 30_000, allowMissing: 0, detach: never() };
    await expect(rollback(await stage.open(), back)).rejects.toMatchObject({
      code: 'LOCKED',
      hint: expect.stringMatching(
        new RegExp(
          `^trigger-deploy cancel ${id} --env dev cancels it: switched instances roll back to 1.0.0; `,
        ),
      ),
    });
    const answer = await cancel(await stage.open(), { deployment: id, reason: 'slow' });
    expect(answer).toMatchObject({ result: 'cancelled' });
    expect(answer.text).toMatch(/; cancelled by \S+: slow; rolling back to 1\.0\.0$/);
    await expect(confirm(await stage.open(), { deployment: id })).rejects.toMatchObject({
      code: 'NOT_UNDER_WAY',
      message: expect.stringContaining(`cancelled by ${answer.by}: slow`),
    });
    expect(await deploying).toBe(1);
    const [undoing, cancelled] = await (await stage.open()).record.deployments.list('payments', 2);
    expect(cancelled).toMatchObject({
      deployment: id,
      status: 'cancelled',
      rolledBackBy: undoing?.deployment,
    });
    expect(undoing).toMatchObject({ action: 'rollback', version: '1.0.0', status: 'succeeded' });
    expect(announcedTo()).toBe(1);
    expect(await desired()).toBe('1.0.0');
    await expect(cancel(await stage.open(), { deployment: id })).rejects.toMatchObject({
      code: 'NOT_UNDER_WAY',
    });
  });

  it('with --on-failure stop closes on cancel, and the answer says that the canary stays', async () => {
    const session = await stage.open();
    const deploying = deploy(session, options({ strategy: person, onFailure: 'stop' }));
    await until(() => session.events.find((event) => event.type === 'waiting'));
    const id = (await newest())?.deployment ?? '';
    const { text } = await cancel(await stage.open(), { deployment: id });
    expect(text).toContain('switched instances stay on the new version (--on-failure stop)');
    expect(await deploying).toBe(1);
    const record = await newest();
    expect(record).toMatchObject({ deployment: id, status: 'cancelled' });
    expect(record?.outcome).toMatch(
      /switched instances stay on the new version \(--on-failure stop\); the desired state stays 1\.0\.0$/,
    );
    await expect
      .poll(() => agents.every((agent) => agent.heard.at(-1)?.kind === 'cancel'), { timeout: 20_000 })
      .toBe(true);
  });

  it('asks at the terminal, and says what no does', async () => {
    const asked = async (change: Partial<DeployOptions>, work: typeof deploy | typeof restart = deploy) => {
      const session = await stage.open();
      await work(session, options({ strategy: person, gate: async () => false, ...change }));
      return notes(session.events).find((text) => text.startsWith('y: continue'));
    };
    expect(await asked({})).toContain('n: cancel (switched instances roll back to 1.0.0)');
    expect(await asked({ onFailure: 'stop' })).toContain(
      'n: cancel (switched instances stay on the new version (--on-failure stop))',
    );
    expect(await asked({}, restart)).toContain(
      'n: cancel (switched instances stay as they are (a restart does not change the version))',
    );
    const whole: Strategy = { ...person, canary: undefined };
    expect(await asked({ strategy: whole })).toContain('n: cancel (no instance has switched)');
  }, 60_000);
});

describe('a running wave', () => {
  it('can be cancelled: instances that have switched or are switching roll back', async () => {
    const deploying = deploy(await stage.open(), options());
    await until(() => announcedTo() === 3);
    const id = (await newest())?.deployment ?? '';
    await cancel(await stage.open(), { deployment: id });
    await until(async () => (await newest())?.action === 'rollback');
    ending.resolve();
    expect(await deploying).toBe(1);
    const back = agents.filter((agent) =>
      agent.heard.some((said) => 'version' in said && said.action === 'rollback'),
    );
    expect(back).toHaveLength(3);
    expect(await desired()).toBe('1.0.0');
  }, 60_000);
});

describe('a rolling deployment without a publisher', () => {
  /** Its publisher let go of it at the gate. */
  async function left(change: Partial<DeployOptions> = {}): Promise<string> {
    const detach = new AbortController();
    const session = await stage.open();
    const deploying = deploy(session, options({ strategy: person, detach: detach.signal, ...change }));
    await until(() => session.events.find((event) => event.type === 'waiting'));
    detach.abort();
    expect(await deploying).toBe(3);
    return (await newest())?.deployment ?? '';
  }
  const watching = (deployment: string) => ({ deployment, timeoutMs: 60_000, detach: never() });

  it('is settled by watch once it is cancelled, and switched instances roll back', async () => {
    const id = await left();
    const { text } = await cancel(await stage.open(), { deployment: id });
    expect(text).toBe(
      `its publisher has stopped: trigger-deploy watch ${id} --env dev settles it; switched instances roll back to 1.0.0`,
    );
    expect(await watch(await stage.open(), watching(id))).toBe(1);
    const [undoing, cancelled] = await (await stage.open()).record.deployments.list('payments', 2);
    expect(cancelled).toMatchObject({ deployment: id, status: 'cancelled', rollBackTo: '1.0.0' });
    expect(undoing).toMatchObject({ action: 'rollback', rollbackOf: id, status: 'succeeded' });
    expect(await desired()).toBe('1.0.0');
    expect(stage.json(keys.lock('dev', 'payments'))?.owner).toBeNull();
  }, 60_000);

  it('with --on-failure stop is settled without a rollback, and prepared instances drop it', async () => {
    const id = await left({ onFailure: 'stop' });
    await cancel(await stage.open(), { deployment: id });
    expect(await watch(await stage.open(), watching(id))).toBe(1);
    expect(await newest()).toMatchObject({ deployment: id, status: 'cancelled', exitCode: 1 });
    await until(() => agents.every((agent) => agent.heard.at(-1)?.kind === 'cancel'));
  }, 60_000);

  it('is settled as cancelled by the next deployment, too', async () => {
    const id = await left();
    await cancel(await stage.open(), { deployment: id });
    expect(await deploy(await stage.open(), options({ version: '1.0.0', strategy: { name: 'all' } }))).toBe(
      0,
    );
    const { value } = await (await stage.open()).record.deployments.read('payments', id);
    expect(value).toMatchObject({ status: 'cancelled', exitCode: 1 });
  }, 60_000);

  it('cannot be cancelled once a newer deployment has started', async () => {
    const id = await left();
    expect(await deploy(await stage.open(), options({ version: '1.0.0', strategy: { name: 'all' } }))).toBe(
      0,
    );
    await expect(cancel(await stage.open(), { deployment: id })).rejects.toMatchObject({
      code: 'NOT_UNDER_WAY',
      message: expect.stringContaining('a newer deployment has started'),
    });
  }, 60_000);
});

describe('a cancel of a deployment to all instances at once', { timeout: 60_000 }, () => {
  /** Only to i-3, which is under way and in this state. */
  async function cancelled(state: State, clock?: HandClock) {
    const session = await stage.open();
    const deploying = deploy(session, options({ strategy: { name: 'all' }, only: ['i-3'] }));
    await until(async () => (await newest())?.version === '1.1.0');
    const deployment = (await newest())?.deployment ?? '';
    const [, , third] = agents;
    if (third) third.underWay = { deployment, state };
    await until(() => third?.heard.some((said) => said.kind === 'deploy' && said.version === '1.1.0'));
    const cancelling = cancel(await stage.open(clock), { deployment, reason: 'slow' });
    const answer = await (clock?.during(cancelling, 1000) ?? cancelling);
    ending.resolve();
    await deploying;
    return { answer, session };
  }

  it('says which instance goes on all the same; the outcome names who and why', async () => {
    const { answer, session } = await cancelled('starting');
    expect(answer).toMatchObject({ result: 'too-late', instances: { 'i-3': 'starting' } });
    expect(answer.text).toMatch(
      /^too late for i-3, which switched already and complete it: trigger-deploy rollback payments --env dev undoes it$/,
    );
    expect(decisionLines(answer)[0]).toContain(' cancel requested by ');
    const settled = session.events.findLast((event) => event.type === 'settled');
    expect(settled).toMatchObject({ text: expect.stringMatching(/too late for the cancel by \S+: slow/) });
    proved('cancelled', 'the answer says which instance goes on');
  });

  it('promises nothing while an instance may still go on', async () => {
    const { answer } = await cancelled('preparing', new HandClock());
    expect(answer).toMatchObject({ result: 'unknown', text: 'no answer yet from i-3' });
    proved('cancelled', 'no promise while an instance may go on');
  });
});

it('the last event of a deployment that rolled back is its own outcome, with how the rollback ended', async () => {
  const session = await stage.open();
  const deploying = deploy(session, options({ strategy: person }));
  await until(() => session.events.find((event) => event.type === 'waiting'));
  await cancel(await stage.open(), { deployment: (await newest())?.deployment ?? '', reason: 'slow' });
  expect(await deploying).toBe(1);
  const last = session.events.findLast((event) => event.type === 'settled');
  expect(last).toBe(session.events.at(-1));
  expect(last).toMatchObject({ outcome: 'cancelled', exitCode: 1, afterRollback: true, shown: true });
  expect(last).toMatchObject({ text: expect.stringMatching(/; the rollback succeeded$/) });
  const lines: string[] = [];
  const renderer = createLines((text) => lines.push(text));
  for (const event of session.events) renderer.event(event);
  expect(lines.at(-1)).toMatch(
    / payments settled cancelled: .*cancelled by \S+: slow; rolling back to 1\.0\.0; the rollback succeeded/,
  );
}, 60_000);

it('a deployment to all instances at once cannot be cancelled once one has switched', async () => {
  const deploying = deploy(await stage.open(), options({ strategy: { name: 'all' } }));
  const id = async () => (await newest())?.deployment ?? '';
  const reports = async () => await (await stage.open()).record.deployments.reports('payments', await id());
  await until(async () => (await reports()).length === 2);
  await expect(cancel(await stage.open(), { deployment: await id() })).rejects.toMatchObject({
    code: 'NOT_UNDER_WAY',
    message: expect.stringMatching(/^too late to cancel .* switched already$/),
    hint: expect.stringContaining('trigger-deploy rollback'),
  });
  ending.resolve();
  expect(await deploying).toBe(0);
}, 60_000);
