import { cpSync, lstatSync } from 'node:fs';
import { readlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { agentQueueName } from '../../shared/names.ts';
import { logOf } from '../support/fleet/agent-log.ts';
import { archiveDownloads } from '../support/fleet/downloads.ts';
import { ENV, type Fleet, startFleet } from '../support/fleet/fleet.ts';
import { proved } from '../support/reliability.ts';
import { addServices, close, deploy, open, push, reached } from './support/fleet/services.ts';
import { ask, expectSettled } from './support/fleet/settled.ts';
import { watchRecord } from './support/publisher/record-watch.ts';

test('an instance made of an image of another keeps the releases, forgets the rest, and converges', async () => {
  const fleet = await startFleet();
  onTestFinished(() => fleet.stop());
  const watch = watchRecord(fleet.cloud);
  const drained = { payments: { hooks: { beforeStop: ['drain'] } } };
  const { payments: service } = await addServices(fleet, 'i-0a1', drained);
  const version = '2.0.0';
  for (const each of ['1.0.0', version, '3.0.0']) await push(service, each);
  await deploy(service, '1.0.0');
  await close(service, 'drain');
  const publisher = fleet.startPublisher('payments', version, '--env', ENV, '--output', 'json');
  await reached(service, 'drain');
  // In the middle of a deployment, with reports not delivered.
  const image = join(fleet.dir, 'image');
  const perMachine = [
    'agent.json',
    'service.pid',
    'service.log',
    'hooks.log',
    'hooks.lock',
    'gate-drain',
    'reached-drain',
  ];
  const copy = (from: string, to: string) =>
    cpSync(from, to, {
      recursive: true,
      verbatimSymlinks: true,
      // The socket by which the agent locks its state; nothing can copy one.
      filter: (path) => !perMachine.includes(basename(path)) && !lstatSync(path).isSocket(),
    });
  copy(join(service.instance.dir, 'state'), join(image, 'state'));
  copy(service.dir, join(image, 'payments'));
  await open(service, 'drain');
  expect((await publisher.finished).code).toBe(0);

  const downloads = () => archiveDownloads(fleet);
  const before = downloads().length;
  const addInstance: Fleet['addInstance'] = (id, services, more) =>
    fleet.addInstance(
      id,
      (instance) => {
        copy(image, instance.dir);
        return services?.(instance) ?? {};
      },
      more,
    );
  const { payments: clone } = await addServices({ ...fleet, addInstance }, 'i-0c1', { payments: {} });
  const said = logOf(clone.instance).find(({ msg }) => msg.includes('was copied from another instance'));
  expect(said).toMatchObject({ level: 'warn', from: 'i-0a1' });
  await clone.instance.agent?.line((line) => line.includes('"msg":"succeeded"'));
  expect((await ask(clone))?.version).toBe(version);
  expect(await readlink(join(clone.dir, 'current'))).toBe(`releases/${version}`);
  expect(downloads()).toHaveLength(before);
  expect(fleet.cloud.queues()).toEqual(
    expect.arrayContaining(['i-0a1', 'i-0c1'].map((id) => agentQueueName(ENV, id))),
  );
  // One ending of its own, and the other deploys on.
  await expectSettled(clone, { version, watch });
  await expectSettled(service, { version, watch });
  await deploy(service, '3.0.0');
  await expectSettled(clone, { version: '3.0.0', watch });
  await expectSettled(service, { version: '3.0.0', watch });
  proved('clone', 'an image taken in mid-deploy: 0 downloads, its own queue, one ending');
});
