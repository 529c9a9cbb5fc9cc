import { describe, expect, it } from 'vitest';
import { deploy } from '../../../../publisher/commands/deploy.ts';
import {
  desired,
  lockOwner,
  openStageForEach,
  options,
  records,
  replyQueues,
  stage,
} from '../../../support/publisher/deploy-fixture.ts';
import { notes } from '../../../support/publisher/stage.ts';

openStageForEach();

describe('a publisher that does not wait', () => {
  it('with --no-wait writes the desired state first, needs no reply, and names the watch command', async () => {
    const agent = await stage.agent('i-1');
    const session = await stage.open();
    expect(await deploy(session, options({ wait: false }))).toBe(0);
    await expect.poll(() => agent.heard).toMatchObject([{ kind: 'deploy', version: '1.1.0' }]);
    expect(agent.heard[0]).not.toHaveProperty('replyTo');
    expect(await desired()).toMatchObject({ version: '1.1.0', sequence: 1 });
    const [record] = await records();
    expect(notes(session.events).join()).toContain(`trigger-deploy watch ${record?.deployment} --env dev`);
    expect(lockOwner()).toBeNull();
  });

  it('detached by Ctrl-C leaves the deployment running and exits with 3', async () => {
    const detach = new AbortController();
    await stage.agent('i-1', () => {
      detach.abort();
      return ['accepted'];
    });
    const session = await stage.open();
    expect(await deploy(session, options({ detach: detach.signal }))).toBe(3);
    expect(await records()).toMatchObject([{ status: 'announced' }]);
    expect(notes(session.events).join()).toContain('trigger-deploy watch');
    expect(lockOwner()).toBeNull();
    expect(replyQueues()).toEqual([]);
  });

  it('that was refused after a try without an answer says that the announcement may have been sent', async () => {
    await stage.agent('i-1', () => []);
    const session = await stage.open();
    const errors = [
      Object.assign(new Error('no answer'), { name: 'TimeoutError' }),
      Object.assign(new Error('denied'), {
        name: 'AuthorizationErrorException',
        $metadata: { httpStatusCode: 403 },
      }),
    ];
    session.aws.sns.send = async () => {
      throw errors.shift();
    };
    await expect(deploy(session, options())).rejects.toMatchObject({ code: 'AWS_DENIED' });
    expect(await records()).toMatchObject([
      { status: 'announced', outcome: expect.stringMatching(/^possibly not announced/) },
    ]);
    expect(notes(session.events).at(-1)).toMatch(/may have been sent: trigger-deploy watch/);
  });

  it('is settled by the next deploy, so that a rollback returns to its version', async () => {
    await stage.publish('payments', '1.2.0');
    const agent = await stage.agent('i-1');
    const other = await stage.agent('i-2', (order) =>
      order.version === '1.2.0' ? ['accepted', 'rolled-back'] : ['accepted', 'succeeded'],
    );
    const detach = new AbortController();
    stage.cloud.until((asked) => asked.operation === 'Publish').then(() => detach.abort());
    expect(await deploy(await stage.open(), options({ detach: detach.signal }))).toBe(3);
    for (const one of [agent, other]) await expect.poll(() => one.heard).toHaveLength(1);
    expect(await desired()).toBeUndefined();
    expect(await deploy(await stage.open(), options({ version: '1.2.0' }))).toBe(1);
    expect(await desired()).toMatchObject({ version: '1.1.0', action: 'rollback' });
  });
});
