import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { agentQueueName } from '../../shared/names.ts';
import { startFakeAutoScaling } from '../support/cloud/fake-auto-scaling.ts';
import { startFakeElb } from '../support/cloud/fake-elb.ts';
import { startFakeImds } from '../support/cloud/fake-imds.ts';
import { deploy, push } from '../support/commands.ts';
import { ENV, type Instance, sampleService, startFleet } from '../support/fleet/fleet.ts';

const GROUP = 'arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/73e2d6bc24d8a067';

/** A hook that writes its name, why it runs and how long it may; with `waits`, it ends when the file `go` is there. */
function hook({ dir }: Instance, name: string, waits = false) {
  const line = `echo "${name} $TRIGGER_DEPLOY_NOTICE $TRIGGER_DEPLOY_REMAINING_MS" >>${dir}/ending.log`;
  const wait = waits ? `; while [ ! -e ${dir}/go ]; do sleep 0.05; done` : '';
  return { run: ['/bin/sh', '-c', line + wait] };
}

test('a spot instance of a group that is to be terminated takes no deployment, drains, runs its hooks, leaves, and lets its group go on', async () => {
  const [imds, asg, elb] = await Promise.all([startFakeImds(), startFakeAutoScaling(), startFakeElb()]);
  const fleet = await startFleet({ agentEnv: () => ({ ...imds.env, ...asg.env, ...elb.env }) });
  onTestFinished(async () => {
    await fleet.stop();
    await Promise.all([imds, asg, elb].map((fake) => fake.stop()));
  });
  elb.register(GROUP, 'i-0a1');
  const spot = await fleet.addInstance(
    'i-0a1',
    (one) => ({
      payments: sampleService(one, {
        hooks: { beforeStop: [hook(one, 'drain')], onTerminate: [hook(one, 'save', true), hook(one, 'say')] },
        traffic: { targetGroups: [{ arn: GROUP }], drainTimeout: '20s', healthyTimeout: '20s' },
      }),
    }),
    { lifecycle: { autoScaling: { terminateHook: 'drain' } } },
  );
  const other = await fleet.addInstance('i-0b2');
  for (const version of ['1.0.0', '2.0.0']) await push(fleet, version);
  await deploy(fleet, '1.0.0');
  await writeFile(join(spot.dir, 'ending.log'), '');

  asg.join('i-0a1', 'web');
  asg.wait('i-0a1', 'drain');
  imds.interrupt('terminate');
  imds.target('Terminated');
  const log = () => readFile(join(spot.dir, 'ending.log'), 'utf8');
  await expect.poll(log, { timeout: 20_000 }).toMatch(/^save/m);
  expect(elb.stateOf(GROUP, 'i-0a1')).toBe('unused');

  // While it ends: others deploy without it, and nobody waits for it.
  const deployed = await fleet.publisher('payments', '2.0.0', '--env', ENV);
  expect(deployed, deployed.stdout + deployed.stderr).toMatchObject({ code: 0 });
  expect(await fleet.ask(other)).toMatchObject({ version: '2.0.0' });
  expect(await fleet.ask(spot)).toMatchObject({ version: '1.0.0' });
  const shown = await fleet.publisher('status', 'payments', '--env', ENV);
  expect(shown.stdout).toMatch(/i-0a1 .* TERMINATING \(spot-terminate at /);
  expect((await fleet.runAgentCommand(spot, 'status')).stdout).toMatch(/^TERMINATING: spot-terminate at /m);
  expect(asg.resultOf('i-0a1', 'drain')).toBeUndefined();
  expect(fleet.cloud.queues()).toContain(agentQueueName(ENV, 'i-0a1'));

  const ended = spot.agent?.line((line) => line.includes('everything for the end of the instance is done'));
  await writeFile(join(spot.dir, 'go'), '');
  await ended;
  expect(asg.resultOf('i-0a1', 'drain')).toBe('CONTINUE');
  expect(fleet.cloud.queues()).not.toContain(agentQueueName(ENV, 'i-0a1'));
  const lines = (await log()).trim().split('\n');
  expect(lines.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
    'drain spot-terminate',
    'save spot-terminate',
    'say spot-terminate',
  ]);
  for (const line of lines) expect(Number(line.split(' ')[2])).toBeGreaterThan(1000);
  expect((await fleet.publisher('status', 'payments', '--env', ENV)).stdout).not.toContain('i-0a1');
});
