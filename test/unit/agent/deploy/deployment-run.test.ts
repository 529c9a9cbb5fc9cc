import { pino } from 'pino';
import { expect, test } from 'vitest';
import { live } from '../../../support/fleet/agent-life.ts';
import {
  createFakePorts,
  type Model,
  modelRunning,
  orderOf,
  serviceConfig,
} from '../../../support/fleet/fake-ports.ts';

const recorded = (model: Model) => model.delivered.map(({ state }) => state);

test('what a rolling deployment waits for is in the record: prepared, going on, and the ending', async () => {
  const model = modelRunning('1.0.0');
  const life = await live(model);
  const order = orderOf('1.1.0', { hold: true });
  await life.worker.accept(order);
  await life.reached(() => recorded(model).includes('prepared'));
  await life.worker.proceed(order.deployment, 'reply-2');
  await life.reached(() => recorded(model).includes('draining') || recorded(model).includes('succeeded'));
  expect(await life.ending(order.deployment)).toMatchObject({ state: 'succeeded' });
  // A newer report replaces one that was not delivered yet.
  expect(['accepted', 'prepared', 'draining', 'succeeded']).toEqual(expect.arrayContaining(recorded(model)));
  const numbers = model.delivered.map(({ n }) => n);
  expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
});

test('an agent that is killed while it is prepared has delivered that, or delivers it when it starts again', async () => {
  const model = modelRunning('1.0.0');
  const first = await live(model);
  const order = orderOf('1.1.0', { hold: true });
  await first.worker.accept(order);
  await first.reached((reports) => reports.some(({ state }) => state === 'prepared'));
  await first.stop();
  const second = await live(model);
  await second.reached(() => recorded(model).includes('prepared'));
});

test('a deployment to all at once writes no more to the record than that it was accepted, and its ending', async () => {
  const model = modelRunning('1.0.0');
  const life = await live(model);
  const order = orderOf('1.1.0');
  await life.worker.accept(order);
  await life.ending(order.deployment);
  expect(['accepted', 'succeeded']).toEqual(expect.arrayContaining(recorded(model)));
});

test('the log says how long a deployment runs although the clock is set by hours in the middle', async () => {
  const entries: { state?: string; sinceMs?: number }[] = [];
  const log = pino({}, { write: (line: string) => void entries.push(JSON.parse(line)) });
  const model = modelRunning('1.0.0');
  const ports = createFakePorts(model);
  let stepped = 0;
  ports.clock = { ...ports.clock, now: () => Date.now() + stepped };
  const life = await live(model, serviceConfig(), ports, log);
  const order = orderOf('1.1.0', { hold: true });
  await life.worker.accept(order);
  await life.reached((reports) => reports.some(({ state }) => state === 'prepared'));
  stepped = 2 * 3_600_000;
  await life.worker.proceed(order.deployment, undefined);
  await life.ending(order.deployment);
  const took = entries.flatMap(({ sinceMs }) => sinceMs ?? []);
  expect(took.length).toBeGreaterThan(3);
  expect(Math.max(...took)).toBeLessThan(3_600_000);
  expect(took).toEqual(took.toSorted((a, b) => a - b));
});
