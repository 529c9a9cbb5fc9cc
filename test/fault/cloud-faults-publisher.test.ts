import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { keys } from '../../shared/names.ts';
import type { Which } from '../support/cloud/fault-proxy.ts';
import { type NetworkFault, slowDown } from '../support/cloud/fault-proxy-answers.ts';
import type { RequestRecord } from '../support/cloud/requests.ts';
import { push } from '../support/commands.ts';
import { BUCKET, ENV, type Instance } from '../support/fleet/fleet.ts';
import { storedText } from '../support/publisher/announcements.ts';
import { proved } from '../support/reliability.ts';
import { type FaultWorld, nextSucceeded, startFaultWorld } from './support/cloud/world.ts';
import { cheapServices, currentOf } from './support/fleet/by-hand.ts';

/** A publisher on a bad line: it gets there, or says that it cannot and has changed nothing. */

let world: FaultWorld;
let instance: Instance;

beforeAll(async () => {
  world = await startFaultWorld();
  instance = await world.addInstance('i-0a1', cheapServices);
});
afterEach(() => world.proxy.clear());
afterAll(() => world?.stop());

const isPublisher: Which = ({ accessKeyId }) => accessKeyId === 'publisher';

/** The first of all requests that ask the same. */
function firsts(): Which {
  const seen = new Set<string>();
  return (request) => {
    const asked = [request.operation, request.key, request.queue].join(' ');
    const isFirst = !seen.has(asked);
    if (isPublisher(request)) seen.add(asked);
    return isFirst && isPublisher(request);
  };
}

const sequence = () => JSON.parse(storedText(world.fleet, keys.lock(ENV, 'payments'))).sequence as number;

test.each<[string, string, (request: RequestRecord) => NetworkFault, number]>([
  ['cut off', '1.0.0', () => ({ kind: 'cut' }), 1],
  ['answered with 503', '1.1.0', ({ service }) => slowDown(service, 0), 2],
])(
  'a push and a deploy succeed although the first try of every request is %s',
  async (_title, version, fault, at) => {
    const first = firsts();
    for (const service of ['s3', 'sqs', 'sns'] as const) {
      const asked = { at: 0, service, operation: '' };
      world.proxy.meet(fault(asked), (request) => request.service === service && first(request));
    }
    const pushed = await world.publisherThrough('push', 'payments', version, await world.fleet.pack(version))
      .finished;
    expect(pushed.code, pushed.stderr).toBe(0);
    const deployed = await world.publisherThrough('payments', version, '--env', 'dev').finished;
    expect(deployed.code, deployed.stdout + deployed.stderr).toBe(0);
    expect(await currentOf(instance)).toBe(version);
    expect(sequence()).toBe(at);
  },
);

test('a publisher that reaches nothing says so, and has changed nothing', async () => {
  await push(world.fleet, '1.2.0');
  const before = world.fleet.cloud.objects(BUCKET);
  world.proxy.meet({ kind: 'cut' }, isPublisher);
  const result = await world.publisherThrough('payments', '1.2.0', '--env', 'dev').finished;
  expect(result.code).toBe(3);
  expect(result.stderr).toContain('AWS does not answer');
  expect(world.fleet.cloud.objects(BUCKET)).toEqual(before);
  expect(sequence()).toBe(2);
});

test('a publisher cut off once it has announced finds the deployment done when the line is back', async () => {
  const publisher = world.publisherThrough('payments', '1.2.0', '--env', 'dev');
  const done = nextSucceeded(instance, '1.2.0');
  const announced = world.proxy.meet(
    { kind: 'pass' },
    (one) => isPublisher(one) && one.operation === 'Publish',
  );
  await announced.reached(1);
  const line = world.proxy.meet({ kind: 'cut' }, (one) => isPublisher(one) && one.operation !== 'Publish');
  await done;
  await line.reached(1);
  line.lift();
  const result = await publisher.finished;
  expect(result.code, result.stdout + result.stderr).toBe(0);
  expect(result.stdout).toContain('i-0a1 succeeded 1.2.0');
  expect(await currentOf(instance)).toBe('1.2.0');
  proved(
    'outage',
    'the publisher: every first try cut, or 503; cut off after announcing; got there each time',
  );
});
