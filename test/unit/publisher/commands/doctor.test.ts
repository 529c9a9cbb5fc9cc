import { beforeEach, describe, expect, it } from 'vitest';
import { deploy } from '../../../../publisher/commands/deploy.ts';
import { doctor } from '../../../../publisher/commands/doctor.ts';
import { pause } from '../../../../publisher/commands/pause.ts';
import type { DoctorFinding } from '../../../../publisher/doctor/finding.ts';
import { doctorLines } from '../../../../publisher/render/doctor.ts';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { keys } from '../../../../shared/names.ts';
import {
  deployed,
  openStageForEach,
  options,
  records,
  stage,
} from '../../../support/publisher/deploy-fixture.ts';
import type { FakeAgent } from '../../../support/publisher/fake-agent.ts';

openStageForEach();

const LOCK = keys.lock('dev', 'payments');
const lockNow = () => stage.json(LOCK) as { sequence: number; owner: unknown };
let agents: FakeAgent[];

beforeEach(async () => {
  stage.cloud.enableVersioning(stage.bucket);
  agents = await deployed(undefined, undefined, undefined);
});

const look = async (repair = false): Promise<DoctorFinding[]> =>
  (await doctor(await stage.open(), { service: 'payments', repair })).findings.filter(
    ({ service }) => service === 'payments',
  );
const wrong = async (repair = false) => (await look(repair)).filter(({ state }) => state !== 'ok');
const put = (key: string, body: string) => stage.cloud.putObject(stage.bucket, key, body);

it('finds nothing wrong with a healthy service, and says so line by line', async () => {
  expect(await wrong()).toEqual([]);
  const lines = doctorLines(await doctor(await stage.open(), { service: 'payments' }));
  expect(lines).toContainEqual(
    expect.stringContaining('payments ok desired-state: the desired state is 1.0.0'),
  );
  expect(lines).toContainEqual('payments ok answers: 3 of 3 instances answer');
});

it('refuses a service that nobody knows', async () => {
  await expect(doctor(await stage.open(), { service: 'nothing' })).rejects.toMatchObject({
    code: 'SERVICE_NOT_FOUND',
  });
});

describe('what dead publishers left', () => {
  const ENTRY = {
    ...{ id: '01JDB2Q0V7M3N8T5R9XKZC4W6H', who: 'nobody', pid: 1, host: 'h' },
    command: 'deploy',
  };
  const QUEUE = keys.queue('dev', 'payments');
  const stale = () => {
    const lock = { ...lockNow(), owner: { ...OWNER, since: PAST, beat: PAST } };
    const queue = { v: 1, nonce: 'n', waiting: [{ ...ENTRY, since: PAST, beat: 3 }] };
    const before = new Date(Date.now() - 600_000);
    stage.cloud.putObject(stage.bucket, LOCK, JSON.stringify(lock), before);
    stage.cloud.putObject(stage.bucket, QUEUE, JSON.stringify(queue), before);
  };

  it('a lock and a place in the queue, is named, and removed only where that is asked for', async () => {
    stale();
    const found = await wrong();
    expect(found.map(({ id, state }) => `${state} ${id}`)).toEqual(['wrong stale-lock', 'wrong queue']);
    for (const { hint } of found) expect(hint).toContain('doctor payments --repair');
    expect((await wrong(true)).map(({ id, state }) => `${state} ${id}`)).toEqual([
      'repaired stale-lock',
      'repaired queue',
    ]);
    expect(await wrong()).toEqual([]);
    expect(await deploy(await stage.open(), options())).toBe(0);
  });
});

describe('a lock', () => {
  it.each([
    ['counts beyond reach', () => JSON.stringify({ ...lockNow(), sequence: Number.MAX_SAFE_INTEGER })],
    ['counts too low', () => JSON.stringify({ ...lockNow(), sequence: 0 })],
    ['is not JSON', () => 'garbage'],
    ['is of another form', () => '{"v":1}'],
    ['is huge', () => 'x'.repeat(2_000_000)],
    [
      'is held by an owner that never was',
      () => JSON.stringify({ ...lockNow(), sequence: 9e15, owner: OWNER }),
    ],
  ])(
    'that %s is named, and repaired only where that is asked for; then the next deployment works',
    async (_, body) => {
      const before = lockNow().sequence;
      put(LOCK, body());
      const text = stage.cloud.object(stage.bucket, LOCK)?.body.toString();
      expect(await wrong()).toMatchObject([{ state: 'wrong', hint: expect.stringContaining('--repair') }]);
      expect(stage.cloud.object(stage.bucket, LOCK)?.body.toString()).toBe(text);
      expect(await wrong(true)).toMatchObject([{ state: 'repaired' }]);
      expect(lockNow()).toMatchObject({ sequence: before, owner: null });
      expect(await wrong()).toEqual([]);
      expect(await deploy(await stage.open(), options())).toBe(0);
    },
  );

  it('that was deleted is named, and made anew', async () => {
    const { sequence } = lockNow();
    stage.cloud.deleteObject(stage.bucket, LOCK);
    expect(await wrong(true)).toMatchObject([{ state: 'repaired' }]);
    expect(lockNow()).toMatchObject({ sequence, owner: null });
  });

  it('is set to what more than half of the instances have seen, when the records and the desired state are gone', async () => {
    const { sequence } = lockNow();
    for (const { deployment } of await records()) {
      stage.cloud.deleteObject(stage.bucket, keys.deployment('dev', 'payments', deployment));
    }
    stage.cloud.deleteObject(stage.bucket, keys.desired('dev', 'payments'));
    const [liar, ...honest] = agents;
    if (liar) liar.underWay = { sequence: 1, seen: 1_000_000 };
    for (const agent of honest) agent.underWay = { sequence, seen: sequence + 4 };
    put(LOCK, JSON.stringify({ ...lockNow(), sequence: 0 }));
    await wrong(true);
    expect(lockNow().sequence).toBe(sequence + 4);
  });

  it('is right although all instances say a number that no deployment reaches', async () => {
    for (const agent of agents) agent.underWay = { seen: Number.MAX_SAFE_INTEGER };
    expect(await wrong(true)).toEqual([]);
  });

  it.each(['the desired state', 'the records'])(
    'is set to what %s says, where nothing else does',
    async (left) => {
      const { sequence } = lockNow();
      const [newest] = await records();
      const record = keys.deployment('dev', 'payments', newest?.deployment ?? '');
      const desired = keys.desired('dev', 'payments');
      stage.cloud.deleteObject(stage.bucket, left === 'the records' ? desired : record);
      put(LOCK, JSON.stringify({ ...lockNow(), sequence: 0 }));
      expect(await wrong(true)).toContainEqual(expect.objectContaining({ state: 'repaired' }));
      expect(lockNow().sequence).toBe(sequence);
    },
  );
});

const PAST = '2020-01-01T00:00:00Z';
const OWNER = {
  ...{ id: '01JDB2Q0V7M3N8T5R9XKZC4W6H', who: 'nobody', pid: 1, host: 'h', command: 'deploy' },
  deployment: '01JDB2Q0V7M3N8T5R9XKZC4W6H',
  ...{ since: '2099-01-01T00:00:00Z', beat: '2099-01-01T00:00:00Z' },
};

it('names a desired state that was put back, and one that cannot be verified', async () => {
  const key = keys.desired('dev', 'payments');
  const old = stage.cloud.object(stage.bucket, key)?.body.toString() ?? '';
  expect(await deploy(await stage.open(), options())).toBe(0);
  put(key, old);
  expect(await wrong()).toMatchObject([
    { state: 'wrong', what: expect.stringContaining('put an older one back') },
  ]);
  put(key, 'garbage');
  expect(await wrong()).toMatchObject([{ state: 'wrong', what: expect.stringContaining(key) }]);
});

it('names a deployment record that cannot be verified', async () => {
  const [newest] = await records();
  const key = keys.deployment('dev', 'payments', newest?.deployment ?? '');
  put(key, 'a.b.c');
  expect(await wrong()).toMatchObject([{ state: 'wrong', what: expect.stringContaining(key) }]);
});

it('names a pause whose document was deleted', async () => {
  await pause(await stage.open(), { service: 'payments', reason: 'incident' });
  expect(await wrong()).toEqual([]);
  stage.cloud.deleteObject(stage.bucket, keys.servicePause('dev', 'payments'));
  expect(await wrong()).toMatchObject([
    { state: 'wrong', hint: expect.stringContaining('unpause payments') },
  ]);
});

it('names a pause that cannot be verified', async () => {
  put(keys.servicePause('dev', 'payments'), 'a.b.c');
  expect(await wrong()).toMatchObject([
    { state: 'wrong', hint: expect.stringContaining('unpause payments') },
  ]);
});

it('without a signing key says what the bucket shows, and that no instance answers', async () => {
  const session = await stage.open();
  const signer = async () => {
    throw new TriggerDeployError('CONFIG_INVALID', 'there is no signingKey');
  };
  const { findings } = await doctor({ ...session, signer }, { service: 'payments' });
  const bad = findings.filter(({ state, service }) => state !== 'ok' && service !== undefined);
  expect(bad).toHaveLength(3);
  for (const { what } of bad) expect(what).toContain('does not answer');
});

it('names an instance that does not answer', async () => {
  await agents[0]?.leave();
  expect(await wrong()).toMatchObject([
    { state: 'wrong', what: expect.stringContaining('i-1 does not answer') },
  ]);
});

it('one instance of many does not say how high the lock counts, when the answers of the others are missing', async () => {
  const [evil, ...others] = agents;
  for (const other of others) await other.leave();
  if (evil) evil.underWay = { sequence: 1_000_000, seen: 1_000_000 };
  expect((await wrong(true)).map(({ what }) => what)).toEqual(
    others.map(({ instance }) => expect.stringContaining(`${instance} does not answer`)),
  );
});
