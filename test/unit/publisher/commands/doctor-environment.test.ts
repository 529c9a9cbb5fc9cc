import { PutBucketVersioningCommand } from '@aws-sdk/client-s3';
import { ListSubscriptionsByTopicCommand, SubscribeCommand, UnsubscribeCommand } from '@aws-sdk/client-sns';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { doctor } from '../../../../publisher/commands/doctor.ts';
import type { Session } from '../../../../publisher/session.ts';
import { bucketSettings } from '../../../../publisher/setup/bucket-settings.ts';
import { keepRight } from '../../../../publisher/setup/setting.ts';
import { topicSettings } from '../../../../publisher/setup/topic-settings.ts';
import { wantedOf } from '../../../../publisher/setup/wanted.ts';
import type { Aws } from '../../../../shared/aws.ts';
import { insteadOnce } from '../../../support/aws/queue-fixture.ts';
import { takeDenials } from '../../../support/iam/ledger.ts';
import { deployed, openStageForEach, stage } from '../../../support/publisher/deploy-fixture.ts';

openStageForEach();

// A publisher may not list queues.
afterEach(() => void takeDenials());
beforeEach(async () => {
  stage.cloud.enableVersioning(stage.bucket);
  await deployed(undefined, undefined, undefined);
});

/** What `work` does with a session that has the permissions of this role. */
async function as<T>(role: string, work: (session: Session) => Promise<T>): Promise<T> {
  const before = process.env.AWS_ACCESS_KEY_ID;
  process.env.AWS_ACCESS_KEY_ID = role;
  try {
    return await work(await stage.open());
  } finally {
    process.env.AWS_ACCESS_KEY_ID = before;
  }
}

/** Topic and bucket as `trigger-deploy init` makes them. */
const setUp = () => as('operator', makeRight);
async function makeRight({ aws, env, signal }: Session): Promise<void> {
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
  /** A publisher may not list queues. */
  const bad = async (change?: (session: Session) => Session) =>
    (await environment(change)).filter(({ id, state }) => state !== 'ok' && id !== 'orphans');

  it('is right as init makes it; who this is, keys, subscriptions, agents and the clock are named', async () => {
    await setUp();
    // The SDK would warn there.
    const warn = vi.spyOn(console, 'warn');
    const findings = await environment();
    expect(warn.mock.calls).toEqual([]);
    warn.mockRestore();
    expect(findings.filter(({ state }) => state !== 'ok')).toMatchObject([
      { id: 'orphans', state: 'unknown' },
    ]);
    expect(findings.map(({ id }) => id)).not.toContain('permission-too-much');
    const all = findings.map(({ what }) => what).join('\n');
    for (const text of ['AIDAPUBLISHER', 'versioning of bucket', 'signing key', 'are subscribed', 'clock']) {
      expect(all).toContain(text);
    }
  });

  it('without a setting of the bucket is wrong, with the command that sets it right', async () => {
    await setUp();
    await as('operator', async ({ aws, env }) => {
      const off = { Bucket: env.bucket, VersioningConfiguration: { Status: 'Suspended' } as const };
      await aws.s3.send(new PutBucketVersioningCommand(off));
    });
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
    await as('operator', async ({ aws, env }) => {
      const listed = await aws.sns.send(new ListSubscriptionsByTopicCommand({ TopicArn: env.topic }));
      await aws.sns.send(
        new UnsubscribeCommand({ SubscriptionArn: listed.Subscriptions?.[0]?.SubscriptionArn }),
      );
    });
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
    const found = await as('operator', async (session) => {
      const { findings } = await doctor({ ...session, env: { ...session.env, signingKey: undefined } }, {});
      return findings;
    });
    expect(found).toContainEqual(
      expect.objectContaining({ id: 'permission-too-much', what: expect.stringContaining('no signingKey') }),
    );
  });

  it('without the topic of the notifications is wrong', async () => {
    await setUp();
    const found = await as('operator', async (session) => {
      const notify = { events: `${session.env.topic}-events` };
      return (await doctor({ ...session, env: { ...session.env, notify } }, {})).findings;
    });
    expect(found).toContainEqual(
      expect.objectContaining({
        ...{ id: 'events-topic', state: 'wrong', hint: expect.stringContaining('aws sns create-topic') },
      }),
    );
  });

  it('counts what is left over, for those who may list queues', async () => {
    const left = await as('operator', async (session) => {
      await session.aws.sns.send(
        new SubscribeCommand({
          ...{ TopicArn: session.env.topic, Protocol: 'sqs', ReturnSubscriptionArn: true },
          Endpoint: `${session.env.topic.replace(':sns:', ':sqs:')}-i-gone`,
        }),
      );
      return (await doctor(session, {})).findings.filter(({ id }) => id === 'orphans');
    });
    expect(left).toMatchObject([
      {
        state: 'wrong',
        what: expect.stringContaining('1 subscriptions'),
        hint: expect.stringContaining('gc --env'),
      },
    ]);
  });
});
