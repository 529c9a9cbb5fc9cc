import { PutBucketVersioningCommand } from '@aws-sdk/client-s3';
import { ListSubscriptionsByTopicCommand, UnsubscribeCommand } from '@aws-sdk/client-sns';
import { beforeEach, describe, expect, it } from 'vitest';
import { deploy } from '../../../../publisher/commands/deploy.ts';
import { doctor } from '../../../../publisher/commands/doctor.ts';
import { pause } from '../../../../publisher/commands/pause.ts';
import type { DoctorFinding } from '../../../../publisher/doctor/finding.ts';
import { doctorLines } from '../../../../publisher/render/doctor.ts';
import type { Session } from '../../../../publisher/session.ts';
import { bucketSettings } from '../../../../publisher/setup/bucket-settings.ts';
import { keepRight } from '../../../../publisher/setup/setting.ts';
import { topicSettings } from '../../../../publisher/setup/topic-settings.ts';
import { wantedOf } from '../../../../publisher/setup/wanted.ts';
import type { Aws } from '../../../../shared/aws.ts';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { keys } from '../../../../shared/names.ts';
import { insteadOnce } from '../../../support/aws/queue-fixture.ts';
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
  expect(lines).toContainEqual(expect.stringContaining('payments ok desired-state: the desired state is 1.0.0'));
  expect(lines).toContainEqual('payments ok answers: 3 of 3 instances answer');
});

it('refuses a service that nobody knows', async () => {
  await expect(doctor(await stage.open(), { service: 'nothing' })).rejects.toMatchObject({
    code: 'SERVICE_NOT_FOUND',
  });
});

/** Topic and bucket as `trigger-deploy init` makes them. */
async function setUp(): Promise<void> {
  const { aws, env, signal } = await stage.open();
  const wanted = wantedOf({
    ...{ env: env.name, region: env.region, bucket: env.bucket },
    account: '000000000000',
  });
  for (const setting of [...topicSettings(aws, wanted), ...bucketSettings(aws, wanted)]) {
    await keepRight(setting, signal);
  }
}

describe('the environment', () => {
  const environment = async (change: (session: Session) => Session = (session) => session) =>
    (await doctor(change(await stage.open()), {})).findings.filter(({ service }) => service === undefined);
  const bad = async (change?: (session: Session) => Session) =>
    (await environment(change)).filter(({ state }) => state !== 'ok');

  it('is right as init makes it; who this is, keys, subscriptions, agents and the clock are named', async () => {
    await setUp();
    const findings = await environment();
    expect(findings.filter(({ state }) => state !== 'ok')).toEqual([]);
    const all = findings.map(({ what }) => what).join('\n');
    for (const text of ['AIDAPUBLISHER', 'versioning of bucket', 'signing key', 'are subscribed', 'clock']) {
      expect(all).toContain(text);
    }
  });

  it('without a setting of the bucket is wrong, with the command that sets it right', async () => {
    await setUp();
    const { aws, env } = await stage.open();
    const off = { Bucket: env.bucket, VersioningConfiguration: { Status: 'Suspended' } as const };
    await aws.s3.send(new PutBucketVersioningCommand(off));
    expect(await bad()).toMatchObject([
      {
        state: 'wrong',
        what: expect.stringContaining('versioning'),
        hint: expect.stringContaining('trigger-deploy init --env dev'),
      },
    ]);
  });

  it('says which instance hears no announcement, and which has no raw delivery', async () => {
    await setUp();
    const { aws, env } = await stage.open();
    const listed = await aws.sns.send(new ListSubscriptionsByTopicCommand({ TopicArn: env.topic }));
    await aws.sns.send(
      new UnsubscribeCommand({ SubscriptionArn: listed.Subscriptions?.[0]?.SubscriptionArn }),
    );
    const found = await bad((session) => {
      const answer = () => ({ $metadata: {}, Attributes: { RawMessageDelivery: 'false' } });
      insteadOnce(session.aws.sns as unknown as Aws['sqs'], 'GetSubscriptionAttributesCommand', answer);
      return session;
    });
    const all = found.map(({ what }) => what).join('\n');
    expect(all).toContain('no subscription leads to the queue of');
    expect(all).toContain('has no raw message delivery');
  });

  it('with what may not be read is unknown there, and everything else is still looked at', async () => {
    await setUp();
    const found = await bad((session) => {
      const refuse = () => {
        throw Object.assign(new Error('no'), { name: 'AccessDenied', $metadata: { httpStatusCode: 403 } });
      };
      insteadOnce(session.aws.s3 as unknown as Aws['sqs'], 'GetBucketVersioningCommand', refuse);
      return session;
    });
    expect(found).toMatchObject([{ state: 'unknown', hint: 'it needs s3:GetBucketVersioning' }]);
  });

  it('in which this role may not write is wrong, and nothing was written', async () => {
    await setUp();
    const before = stage.cloud.objects(stage.bucket, '').slice();
    const found = await bad((session) => {
      const deny = () => {
        throw Object.assign(new Error('no'), { name: 'AccessDenied', $metadata: { httpStatusCode: 403 } });
      };
      insteadOnce(session.aws.s3 as unknown as Aws['sqs'], 'PutObjectCommand', deny);
      return session;
    });
    expect(found).toMatchObject([{ state: 'wrong', what: expect.stringContaining('s3:PutObject on') }]);
    await environment();
    expect(stage.cloud.objects(stage.bucket, '').slice()).toEqual(before);
  });

  it('of another account than the topic is wrong', async () => {
    const found = await bad((session) => ({
      ...session,
      env: { ...session.env, topic: session.env.topic.replace('000000000000', '999999999999') },
    }));
    expect(found).toContainEqual(
      expect.objectContaining({ id: 'caller-account', what: expect.stringContaining('999999999999') }),
    );
  });

  const failing = (client: 'sns' | 's3', command: string, error: object) => (session: Session) => {
    insteadOnce(session.aws[client] as unknown as Aws['sqs'], command, () => {
      throw Object.assign(new Error('no'), error);
    });
    return session;
  };

  it('without an answer of SNS has a finding about it, and the rest is still looked at', async () => {
    await setUp();
    const all = await environment(
      failing('sns', 'GetTopicAttributesCommand', { name: 'ECONNREFUSED', code: 'ECONNREFUSED' }),
    );
    expect(all.filter(({ state }) => state !== 'ok')).toMatchObject([
      { id: 'endpoint-sns', state: 'wrong', hint: expect.stringContaining('com.amazonaws.eu-west-1.sns') },
    ]);
    const ids = all.map(({ id }) => id);
    expect(ids).toContain('bucket-versioning');
    expect(ids).not.toContain('subscription');
  });

  it('whose bucket is in another region has one finding with the right one', async () => {
    await setUp();
    const moved = {
      name: 'HTTP 301',
      $metadata: { httpStatusCode: 301 },
      $response: { headers: { 'x-amz-bucket-region': 'eu-central-1' } },
    };
    const found = await bad(failing('s3', 'HeadBucketCommand', moved));
    expect(found).toMatchObject([
      { id: 'bucket-region', state: 'wrong', what: expect.stringContaining('eu-central-1') },
      { id: 'record', state: 'unknown' },
    ]);
  });

  it('names role sessions that no instance has, and keys that are trusted besides', async () => {
    await setUp();
    const found = await environment((session) => ({
      ...session,
      env: { ...session.env, sessions: { 'i-gone': 'gone' }, trust: ['/old.pub.json'] },
    }));
    const noted = found.filter(({ hint }) => hint !== undefined).map(({ id, state }) => `${state} ${id}`);
    expect(noted).toEqual(expect.arrayContaining(['ok sessions', 'ok trust-keys']));
  });

  it('says of a reader, who has no signing key, that it may write', async () => {
    await setUp();
    const found = await environment((session) => ({
      ...session,
      env: { ...session.env, signingKey: undefined },
    }));
    expect(found).toContainEqual(
      expect.objectContaining({ id: 'permission-too-much', what: expect.stringContaining('no signingKey') }),
    );
  });

  it('without the topic of the notifications is wrong', async () => {
    await setUp();
    const found = await bad((session) => ({
      ...session,
      env: { ...session.env, notify: { events: `${session.env.topic}-events` } },
    }));
    expect(found).toMatchObject([
      { id: 'events-topic', hint: expect.stringContaining('aws sns create-topic') },
    ]);
  });
});

describe('what dead publishers left', () => {
  const ENTRY = { ...{ id: '01JDB2Q0V7M3N8T5R9XKZC4W6H', who: 'nobody', pid: 1, host: 'h' }, command: 'deploy' };
  const QUEUE = keys.queue('dev', 'payments');
  const stale = () => {
    put(LOCK, JSON.stringify({ ...lockNow(), owner: { ...OWNER, since: PAST, beat: PAST } }));
    put(QUEUE, JSON.stringify({ v: 1, nonce: 'n', waiting: [{ ...ENTRY, since: PAST, beat: 3 }] }));
    for (const key of [LOCK, QUEUE]) {
      const object = stage.cloud.object(stage.bucket, key);
      if (object) object.lastModified = Date.now() - 600_000;
    }
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
