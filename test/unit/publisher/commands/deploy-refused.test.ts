import { describe, expect, it } from 'vitest';
import { deploy } from '../../../../publisher/commands/deploy.ts';
import { keys } from '../../../../shared/names.ts';
import { signAs } from '../../../support/aws/fixture.ts';
import {
  lockOwner,
  openStageForEach,
  options,
  records,
  replyQueues,
  stage,
} from '../../../support/publisher/deploy-fixture.ts';
import { openStage } from '../../../support/publisher/stage.ts';

openStageForEach();

describe('refused before anything is locked or announced', () => {
  it('a version that does not exist, naming the newest versions', async () => {
    const refused = deploy(await stage.open(), options({ version: '9.9.9' }));
    await expect(refused).rejects.toMatchObject({
      code: 'VERSION_NOT_FOUND',
      hint: expect.stringMatching(/1\.1\.0.*1\.0\.0|1\.0\.0.*1\.1\.0/),
    });
    expect(stage.cloud.objects(stage.bucket, 'state/')).toEqual([]);
  });

  it('a service without pushed versions', async () => {
    const refused = deploy(await stage.open(), options({ service: 'paymnets' }));
    await expect(refused).rejects.toMatchObject({ code: 'SERVICE_NOT_FOUND' });
  });

  it('a manifest signed with an unknown key', async () => {
    const other = await openStage();
    try {
      await other.publish('payments', '6.6.6');
      const forged = other.cloud.object(other.bucket, keys.manifest('payments', '6.6.6'))?.body ?? '';
      stage.cloud.putObject(stage.bucket, keys.manifest('payments', '6.6.6'), forged);
    } finally {
      await other.close();
    }
    Object.assign(process.env, stage.cloud.env());
    const refused = deploy(await stage.open(), options({ version: '6.6.6' }));
    await expect(refused).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
  });

  it('a manifest copied from another version', async () => {
    const copied = stage.cloud.object(stage.bucket, keys.manifest('payments', '1.0.0'))?.body ?? '';
    stage.cloud.putObject(stage.bucket, keys.manifest('payments', '3.0.0'), copied);
    const refused = deploy(await stage.open(), options({ version: '3.0.0' }));
    await expect(refused).rejects.toMatchObject({ code: 'DOCUMENT_INVALID' });
  });
});

it('an announcement that AWS refuses leaves a record that says so, a free lock and no queue', async () => {
  const session = await stage.open();
  // A policy names the topic of the config, which is another one here.
  signAs(session.aws, 'operator');
  const env = { ...session.env, topic: session.env.topic.replace('-dev', '-gone') };
  await expect(deploy({ ...session, env }, options())).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND' });
  expect(await records()).toMatchObject([
    { status: 'failed', outcome: expect.stringContaining('not announced') },
  ]);
  expect(lockOwner()).toBeNull();
  expect(replyQueues()).toEqual([]);
});
