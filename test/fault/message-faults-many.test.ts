import { afterAll, beforeAll, expect, test } from 'vitest';
import { keys, newUlid, replyQueueName } from '../../shared/names.ts';
import type { Report } from '../../shared/report.ts';
import { isEnding } from '../../shared/states.ts';
import { userIdOf } from '../support/cloud/sqs.ts';
import { logOf } from '../support/fleet/agent-log.ts';
import { BUCKET, ENV, type Instance } from '../support/fleet/fleet.ts';
import { forge, trustedKey } from '../support/publisher/announcements.ts';
import { proved } from '../support/reliability.ts';
import { createQueue, publishAll } from './support/cloud/topic.ts';
import { type FaultWorld, startFaultWorld } from './support/cloud/world.ts';
import { changeOf, cheapServices, currentOf, drained, SERVICE, until } from './support/fleet/by-hand.ts';

/** A pipeline gone wild: more announcements than can be deployed. */

const MANY = 50;

let world: FaultWorld;
let instance: Instance;

beforeAll(async () => {
  world = await startFaultWorld();
  instance = await world.addInstance('i-0a1', cheapServices);
});
afterAll(() => world?.stop());

test('of fifty announcements at once none is lost: the newest is deployed, the others are superseded, each once', async () => {
  const { cloud, topicArn } = world.fleet;
  const key = await trustedKey(world.fleet);
  const replyTo = replyQueueName(ENV, newUlid(Date.now()));
  await createQueue(cloud, replyTo);
  const artifacts = await world.place('1.0.0');
  const said = Array.from({ length: MANY }, (_, at) =>
    changeOf({ version: '1.0.0', sequence: at + 1, artifacts, replyTo }),
  );
  const texts = said.map((payload) => forge({ key, payload }));
  // Nothing can be quicker than the next announcement: no byte arrives before all were heard.
  const bytes = world.proxy.meet({ kind: 'hold' }, ({ key: at }) => at?.startsWith('artifacts/') ?? false);
  await publishAll(cloud, topicArn, texts);
  await drained(cloud, instance.id);
  bytes.lift();
  const record = ({ deployment }: { deployment: string }) => {
    const stored = cloud.object(BUCKET, keys.report(ENV, SERVICE, deployment, userIdOf(instance.id)));
    return stored && (JSON.parse(stored.body.toString('utf8')) as Report).state;
  };
  const endings = () => said.map(record);
  const expected = said.map((_, at) => (at === MANY - 1 ? 'succeeded' : 'superseded'));
  await until(cloud, () => endings().every((state) => state !== undefined && isEnding(state)));
  expect(endings()).toEqual(expected);
  expect(await currentOf(instance)).toBe('1.0.0');

  const logged = logOf(instance).length;
  await publishAll(cloud, topicArn, texts.toReversed());
  await drained(cloud, instance.id);
  expect(
    logOf(instance)
      .slice(logged)
      .flatMap(({ decision }) => decision ?? []),
  ).toEqual(Array(MANY).fill('repeat'));
  expect(endings()).toEqual(expected);
  await expect
    .poll(() => distinctEndings(cloud.messages(replyTo)))
    .toEqual(new Map(said.map(({ deployment }, at) => [deployment, [expected[at]]])));
  proved('many', `${MANY} announcements at once, then all of them again: 1 deployed, ${MANY - 1} superseded`);
  proved('duplicate', `${MANY} announcements replayed in reverse: no second ending`);
});

/** What each deployment's endings say, a report that came twice counted once. */
function distinctEndings(replies: readonly string[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const reply of new Set(replies)) {
    const { deployment, state } = JSON.parse(reply) as Report;
    if (isEnding(state)) found.set(deployment, [...(found.get(deployment) ?? []), state]);
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}
