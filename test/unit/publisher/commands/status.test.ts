import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deploy } from '../../../../publisher/commands/deploy.ts';
import { history } from '../../../../publisher/commands/history.ts';
import { show } from '../../../../publisher/commands/show.ts';
import { status } from '../../../../publisher/commands/status.ts';
import { historyLines, historyTable } from '../../../../publisher/render/history.ts';
import { showLines, showTable } from '../../../../publisher/render/show.ts';
import { statusLines, statusTable } from '../../../../publisher/render/status.ts';
import { plain } from '../../../../publisher/render/text.ts';
import { keys } from '../../../../shared/names.ts';
import { signAs } from '../../../support/aws/fixture.ts';
import { userIdOf } from '../../../support/cloud/sqs.ts';
import { never, notes, openStage, type Stage } from '../../../support/publisher/stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(async () => await stage.close());

const page = { columns: 200, paint: plain };
const AN_HOUR_AGO = new Date(Date.now() - 3_600_000).toISOString();

function putInstance(instance: string, version: string, change: object = {}): void {
  const about = { v: 1, env: 'dev', service: 'payments', instance, version, sequence: 1, pinned: false };
  const record = { ...about, agentVersion: '0.0.9', at: AN_HOUR_AGO, ...change };
  stage.cloud.putObject(
    stage.bucket,
    keys.instance('dev', 'payments', userIdOf(instance)),
    JSON.stringify(record),
  );
}

async function deployed(version: string) {
  await stage.publish('payments', version);
  const options = { service: 'payments', version, wait: true, timeoutMs: 20_000, reason: 'a reason' };
  const session = await stage.open();
  const policy = { allowMissing: 0, maxFailures: 0, onFailure: 'rollback' } as const;
  await deploy(session, { ...options, ...policy, strategy: { name: 'all' }, detach: never() });
}

describe('status', () => {
  it('names who changes the service and who waits; without a roll call it announces nothing', async () => {
    putInstance('i-1', '1.0.0');
    const at = new Date().toISOString();
    const id = '01M7YRWEQ3ZRXW8B10876X65VA';
    const one = { id, host: 'desk', pid: 7, command: 'deploy', since: at };
    const owner = { ...one, who: 'bob@desk', deployment: id, beat: at };
    const lock = { v: 1, nonce: 'n', sequence: 4, owner };
    const waiting = [{ ...one, who: 'ann@desk', version: '1.1.0', beat: 0 }];
    const put = (key: string, value: object) =>
      stage.cloud.putObject(stage.bucket, key, JSON.stringify(value));
    put(keys.lock('dev', 'payments'), lock);
    put(keys.queue('dev', 'payments'), { v: 1, nonce: 'n', waiting });
    const answer = await status(await stage.open(), { service: 'payments', rollCall: false });
    expect(answer.services).toMatchObject([
      {
        owner: { who: 'bob@desk', command: 'deploy', deployment: id, stale: false },
        queue: [{ who: 'ann@desk', command: 'deploy', version: '1.1.0' }],
        instances: [{ instance: 'i-1', version: '1.0.0' }],
      },
    ]);
    expect(answer.services[0]?.instances[0]).not.toHaveProperty('answered');
    expect(statusTable(answer, page).slice(1, 3)).toEqual([
      `  changed by bob@desk (deploy ${id}), began just now`,
      '  queue 1: ann@desk (deploy 1.1.0), since just now',
    ]);
    expect(statusLines(answer)).toEqual([
      `payments i-1 1.0.0 desired none agent 0.0.9 last seen ${AN_HOUR_AGO}`,
      `payments changed by bob@desk (deploy ${id}), began just now`,
      'payments queue 1: ann@desk (deploy 1.1.0), since just now',
    ]);
    const acted = stage.cloud.requests.filter(({ service }) => service !== 's3');
    expect(acted).toEqual([]);
  });

  it('lists a service once, and reads its desired state, pauses, lock, queue and each of its instances', async () => {
    for (const instance of ['i-1', 'i-2']) putInstance(instance, '1.0.0');
    const session = await stage.open();
    const from = stage.cloud.requests.length;
    await status(session, { service: 'payments', rollCall: false });
    const asked = stage.cloud.requests
      .slice(from)
      .map(({ operation, key }) => (key === undefined ? operation : key.replace(/^state\/dev\//, '')));
    expect(asked.sort()).toEqual([
      'ListObjectsV2',
      'pause.jws',
      'payments/desired.jws',
      'payments/desired.jws',
      ...['i-1', 'i-2'].map((instance) => `payments/instances/${userIdOf(instance)}.json`),
      ...['payments/line.json', 'payments/lock.json', 'payments/pause.jws'],
    ]);
  });

  it('says why the last deployment failed on an instance, and what to do', async () => {
    const failure = { code: 'CHECK_FAILED', message: 'http 500', hint: 'raise `deadline`' };
    putInstance('i-2', '0.9.0', { state: 'rolled-back', failure });
    await stage.publish('payments', '1.0.0');
    const answer = await status(await stage.open(), { service: 'payments' });
    expect(statusTable(answer, page)).toEqual(
      expect.arrayContaining(['  i-2: CHECK_FAILED: http 500', '    → raise `deadline`']),
    );
    expect(statusLines(answer)[0]).toMatch(/CHECK_FAILED: http 500 → raise `deadline`$/);
  });

  it('of many instances shows the answer of each that answers, and the record of each other', async () => {
    await stage.agent('i-1', undefined, '1.0.0');
    await deployed('1.0.0');
    for (let n = 2; n <= 250; n += 1) putInstance(`i-${n}`, '0.9.0');
    putInstance('i-3', '0.9.0', { leftAt: AN_HOUR_AGO });
    const { services } = await status(await stage.open(), { service: 'payments' });
    const instances = services[0]?.instances ?? [];
    expect(instances).toHaveLength(249);
    expect(instances.filter((one) => one.answered)).toMatchObject([{ instance: 'i-1', version: '1.0.0' }]);
    expect(instances.find((one) => one.instance === 'i-2')).toMatchObject({ version: '0.9.0', drift: true });
    expect(instances.map((one) => one.instance)).not.toContain('i-3');
  });

  it('asks the fleet; an instance that does not answer is shown as last recorded', async () => {
    await stage.agent('i-1', undefined, '1.0.0');
    await deployed('1.0.0');
    putInstance('i-2', '0.9.0', { pinned: true, active: false, zone: 'eu-west-1b', state: 'rolled-back' });
    const answer = await status(await stage.open(), { service: 'payments' });
    expect(answer.services).toMatchObject([
      {
        service: 'payments',
        desired: { version: '1.0.0' },
        instances: [
          { instance: 'i-1', version: '1.0.0', answered: true, drift: false },
          { instance: 'i-2', version: '0.9.0', answered: false, drift: true, pinned: true },
        ],
      },
    ]);
    const [heading, , first, second, , counts] = statusTable(answer, page);
    expect(heading).toMatch(/^payments in dev · desired 1\.0\.0 since just now by \S+@\S+$/);
    expect(first).toMatch(/^ {2}i-1 {2}.* 1\.0\.0 .* agent 0\.1\.0 {2}answered$/);
    expect(second).toMatch(
      /^ {2}i-2 {2}eu-west-1b {2}0\.9\.0 {2}↺ rolled-back {2}not active {2}DRIFT PINNED {2}agent 0\.0\.9 {2}did not answer \(last seen 1 h ago\)$/,
    );
    expect(counts).toBe(
      '  2 instances · 1 with another version · 1 pinned · 1 not active · 1 did not answer',
    );
    expect(statusLines(answer)).toEqual([
      'payments i-1 1.0.0 desired 1.0.0 agent 0.1.0 answered',
      `payments i-2 0.9.0 desired 1.0.0 rolled-back inactive DRIFT PINNED agent 0.0.9 did not answer, last seen ${AN_HOUR_AGO}`,
    ]);
    expect(stage.cloud.queues().filter((name) => name.includes('-reply-'))).toEqual([]);
  });

  it('says how an instance that got its deployment too late comes to the desired version', async () => {
    const late = await stage.agent('i-1', undefined, '1.0.0');
    await deployed('1.0.0');
    putInstance('i-1', '1.1.0', { state: 'succeeded', sequence: 2 });
    await late.leave();
    const asked = async () => statusTable(await status(await stage.open(), { service: 'payments' }), page);
    const hint = '  → trigger-deploy payments 1.0.0 --env dev brings every instance to 1.0.0';
    expect((await asked()).at(-1)).toBe(hint);
    putInstance('i-1', '1.1.0', { state: 'checking', sequence: 2 });
    expect(await asked()).not.toContain(hint);
  });

  it('without a service shows every service of the environment', async () => {
    await stage.agent('i-1', undefined, '1.0.0');
    const answer = await status(await stage.open(), {});
    expect(answer.services.map((one) => [one.service, one.instances.length])).toEqual([['payments', 1]]);
    expect(statusTable(answer, page)[0]).toBe('payments in dev · no desired version yet');
    expect(statusTable({ ...answer, services: [] }, page)).toEqual(['nothing is deployed in dev yet']);
  });

  it('shows an unreadable desired state as unreadable, not as none', async () => {
    putInstance('i-1', '1.0.0');
    stage.cloud.putObject(stage.bucket, keys.desired('dev', 'payments'), 'forged.by.someone');
    const answer = await status(await stage.open(), { service: 'payments' });
    expect(statusTable(answer, page)[0]).toMatch(/the desired state cannot be read: .*not a signed document/);
    expect(statusLines(answer)[0]).toContain('desired unreadable');
  });

  it('shows the record where the roll call is not allowed', async () => {
    putInstance('i-1', '1.0.0');
    const session = await stage.open();
    // A policy names the topic of the config, which is another one here.
    signAs(session.aws, 'operator');
    const env = { ...session.env, topic: `${session.env.topic}gone` };
    const answer = await status({ ...session, env }, { service: 'payments' });
    expect(answer.services[0]?.instances).toMatchObject([{ instance: 'i-1', answered: false }]);
    expect(notes(session.events).join()).toContain('roll call failed; showing the last recorded state');
  });

  it('refuses an unknown service and names the known ones', async () => {
    putInstance('i-1', '1.0.0');
    await expect(status(await stage.open(), { service: 'paymnets' })).rejects.toMatchObject({
      code: 'SERVICE_NOT_FOUND',
      message: 'there is no service paymnets in dev',
      hint: 'known services: payments',
    });
  });
});

describe('history and show', () => {
  it('have who deployed what, when, why, and the result of each instance', async () => {
    await stage.agent('i-1', (order) =>
      order.version === '1.1.0'
        ? ['accepted', { state: 'rolled-back', code: 'CHECK_FAILED' }]
        : ['accepted', 'succeeded'],
    );
    await deployed('1.0.0');
    await deployed('1.1.0');
    const past = await history(await stage.open(), { service: 'payments', limit: 20 });
    expect(past.deployments.map((one) => [one.version, one.status])).toEqual([
      ['1.1.0', 'failed'],
      ['1.0.0', 'succeeded'],
    ]);
    const table = historyTable(past, page);
    expect(table[2]).toMatch(/✗ failed {5}1\.0\.0 → 1\.1\.0 .* a reason$/);
    expect(table[3]).toMatch(/^ {6}0 of 1 succeeded, 1 rolled back \(i-1: CHECK_FAILED: .*stays 1\.0\.0$/);
    expect(table[4]).toMatch(/✓ succeeded {2}1\.0\.0 .* a reason$/);
    expect(historyLines(past)[0]).toMatch(
      / payments \S{26} deploy 1\.0\.0 → 1\.1\.0 failed in .* \(a reason\): 0 of 1 succeeded/,
    );
    expect((await history(await stage.open(), { service: 'payments', limit: 1 })).deployments).toHaveLength(
      1,
    );

    const failed = await history(await stage.open(), { service: 'payments', limit: 20, failed: true });
    expect(failed.deployments.map((one) => one.version)).toEqual(['1.1.0']);
    const young = { service: 'payments', limit: 20, since: { ago: 60_000 } };
    expect((await history(await stage.open(), young)).deployments).toHaveLength(2);
    const later = await stage.open();
    const nextDay = { ...later.clock, now: () => Date.now() + 86_400_000 };
    const none = await history({ ...later, clock: nextDay }, young);
    expect(historyTable(none, page)).toEqual(['no matching deployment of payments in dev']);
    // A clock that is a day wrong until AWS answers.
    const wrong = await stage.open();
    const asked = stage.cloud.requests.length;
    const now = () => Date.now() + (stage.cloud.requests.length > asked ? 0 : 86_400_000);
    const corrected = await history({ ...wrong, clock: { ...wrong.clock, now } }, young);
    expect(corrected.deployments).toHaveLength(2);

    const id = past.deployments[0]?.deployment ?? '';
    const one = await show(await stage.open(), { deployment: id });
    const lines = showTable(one, page);
    expect(lines[0]).toBe(`payments 1.0.0 → 1.1.0 in dev · ${id}`);
    expect(lines.find((line) => line.startsWith('  reason'))).toMatch(/a reason$/);
    expect(lines).toContain('  i-1 rolled-back: CHECK_FAILED: CHECK_FAILED happened');
    expect(showLines(one).join('\n')).toMatch(/ payments i-1 rolled-back 1\.1\.0 .*CHECK_FAILED happened/);

    const ofOne = await show(await stage.open(), { deployment: id, instance: 'i-1' });
    expect(ofOne.reports).toEqual(one.reports);
    await expect(show(await stage.open(), { deployment: id, instance: 'i-9' })).rejects.toMatchObject({
      code: 'INSTANCE_NOT_FOUND',
      message: `${id} has no instance i-9`,
      hint: `trigger-deploy show ${id} --env dev lists its instances`,
    });
  });

  it('refuse a deployment, or a service, that does not exist', async () => {
    const id = '01JDB2Q0V7M3N8T5R9XKZC4W6H';
    await expect(show(await stage.open(), { deployment: id })).rejects.toMatchObject({
      code: 'DEPLOYMENT_NOT_FOUND',
    });
    await expect(history(await stage.open(), { service: 'payments', limit: 5 })).rejects.toMatchObject({
      code: 'SERVICE_NOT_FOUND',
      hint: 'nothing is deployed in dev yet',
    });
    await stage.publish('payments', '1.0.0');
    const none = await history(await stage.open(), { service: 'payments', limit: 5 });
    expect(historyTable(none, page)).toEqual(['payments was never deployed in dev']);
  });
});
