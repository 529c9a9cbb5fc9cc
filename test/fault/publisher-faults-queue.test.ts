import { afterAll, beforeAll, expect, test } from 'vitest';
import { keys } from '../../shared/names.ts';
import { BUCKET, ENV, type Fleet, startFleet } from '../support/fleet/fleet.ts';
import { openSetup } from '../support/fleet/setup.ts';
import { proved } from '../support/reliability.ts';
import { addServices, type Service } from './support/fleet/services.ts';
import { ask } from './support/fleet/settled.ts';
import { lockOf, startPublisher } from './support/publisher/publishers.ts';

/** Real publishers in the queue of one service: one deploys, two wait behind it, and one of those is killed. */

const NAME = 'payments';
let fleet: Fleet;
let service: Service;

beforeAll(async () => {
  fleet = await startFleet();
  ({ [NAME]: service } = await addServices(fleet, 'i-0a1', { [NAME]: { watch: '0s' } }));
  const setup = await openSetup(fleet);
  await setup.deployed(NAME, '1.0.0');
  for (const version of ['1.1.0', '1.2.0', '1.3.0']) await setup.pushed(NAME, version);
  setup.close();
});
afterAll(() => fleet?.stop());

const waiting = (): { who: string; version: string }[] => {
  const stored = fleet.cloud.object(BUCKET, keys.queue(ENV, NAME));
  return JSON.parse(stored?.body.toString() ?? '{"waiting":[]}').waiting;
};
/** Writes a heartbeat for the publisher that waits to deploy this version, as if it ran on another machine. */
function beat(version: string): void {
  const key = keys.queue(ENV, NAME);
  const queue = JSON.parse(fleet.cloud.object(BUCKET, key)?.body.toString() ?? '{}');
  for (const one of queue.waiting) {
    if (one.version === version) Object.assign(one, { beat: one.beat + 1, place: 'another machine' });
  }
  fleet.cloud.putObject(BUCKET, key, JSON.stringify(queue));
}
const says = (words: string) => (line: string) => line.includes(words);

test('a publisher behind one that was killed deploys, but not before that one is surely dead', async () => {
  const first = startPublisher(fleet, [NAME, '1.1.0', '--strategy', 'rolling', '--confirm'], {
    who: 'first',
  });
  await first.line(says('waiting for confirmation'));
  const killed = startPublisher(fleet, [NAME, '1.2.0', '--queue'], { who: 'killed' });
  await killed.line(says('place 1 of 1 in the queue for payments; locked by jenkins first#7'));
  const next = startPublisher(fleet, [NAME, '1.3.0', '--queue'], { who: 'next' });
  const place = 'place 2 of 2 in the queue for payments; ahead: jenkins killed#7 (deploy 1.2.0';
  await next.line(says(place));
  expect(waiting().map(({ version }) => version)).toEqual(['1.2.0', '1.3.0']);

  beat('1.2.0');
  killed.process.kill('SIGKILL');
  await killed.finished;
  // Its heartbeats do not stop yet: the steps below may take more than a minute.
  const beating = setInterval(() => beat('1.2.0'), 5000);
  const { deployment = '' } = lockOf(fleet, NAME)?.owner ?? {};
  const confirmed = await startPublisher(fleet, ['confirm', deployment]).finished;
  expect(confirmed, confirmed.stderr).toMatchObject({ code: 0 });
  expect(await first.finished).toMatchObject({ code: 0 });
  expect((await ask(service))?.version).toBe('1.1.0');

  // The lock is free, and still it waits: the publisher ahead may be alive.
  await next.line((line) => line.includes(place) && !line.includes('locked by'));
  expect(lockOf(fleet, NAME)?.owner).toBeNull();
  const refused = await startPublisher(fleet, [NAME, '1.0.0']).finished;
  expect(refused).toMatchObject({
    code: 4,
    stderr: expect.stringContaining('other publishers are queued for payments'),
  });

  clearInterval(beating);
  const looks = () =>
    next.asked().filter(({ operation, key, status }) => {
      return operation === 'GetObject' && key === keys.queue(ENV, NAME) && status !== undefined;
    }).length;
  const looked = looks();
  // One read may have been under way.
  await expect.poll(looks).toBeGreaterThan(looked + 1);
  next.process.kill('SIGUSR2');
  const finished = await next.finished;
  expect(finished, finished.stdout + finished.stderr).toMatchObject({ code: 0 });
  expect((await ask(service))?.version).toBe('1.3.0');
  expect(waiting()).toEqual([]);
  expect(lockOf(fleet, NAME)?.owner).toBeNull();
  proved('two-publishers', 'two in the queue, the first killed: the second deployed');
}, 180_000);
