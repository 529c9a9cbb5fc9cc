import { expect, test } from 'vitest';
import { createVerdict } from '../../../../agent/deploy/verdict.ts';
import { live } from '../../../support/fleet/agent-life.ts';
import {
  createFakePorts,
  type Model,
  modelRunning,
  orderOf,
  serviceConfig,
} from '../../../support/fleet/fake-ports.ts';

/** The watch period: a verdict needs time, not a count. */

/** Deploys 1.1.0 with a watch of 10 s. Its check answers by the time since the watch began, ms. */
async function watched(
  isWell: (at: number) => boolean,
  change: (model: Model, at: number) => void = () => {},
) {
  const model = modelRunning('1.0.0');
  const ports = createFakePorts(model);
  let began: number | undefined;
  const at = () => (began === undefined ? 0 : ports.clock.monotonic() - began);
  const { status } = ports.manager;
  ports.manager.status = async (signal) => {
    if (began !== undefined && model.current === '1.1.0') change(model, at());
    return await status(signal);
  };
  ports.probe.probe = async () => {
    const ok = began === undefined || model.current !== '1.1.0' || isWell(at());
    return { ok, note: ok ? 'http 200' : 'http 503' };
  };
  const life = await live(model, serviceConfig({ watch: 10_000 }), ports);
  const order = orderOf('1.1.0');
  void life
    .reached((reports) => reports.some(({ state }) => state === 'watching'))
    .then(() => {
      began = ports.clock.monotonic();
    });
  await life.worker.accept(order);
  const ending = await life.ending(order.deployment);
  return { ending, watchMs: ending.timings.watch ?? 0 };
}

const between = (from: number, to: number) => (at: number) => at < from || at >= to;

test.each([
  ['in the middle of the watch', between(4000, 4600)],
  ['in the last moment of the watch', between(9600, 10_300)],
  ['that begins with the watch', between(0, 900)],
  ['of two and a half seconds', between(5000, 7500)],
])('a blip %s is no verdict', async (_when, isWell) => {
  expect((await watched(isWell)).ending).toMatchObject({ state: 'succeeded' });
});

test.each([
  ['in the middle of the watch', between(4000, 60_000)],
  ['in the last moment of the watch', between(9600, 60_000)],
])('a failure that lasts is a verdict %s', async (_when, isWell) => {
  const { ending } = await watched(isWell);
  expect(ending).toMatchObject({ state: 'rolled-back', error: { code: 'WATCH_FAILED' } });
  expect(ending.error?.message).toMatch(/http 503 \(it has been failing for \d\.\d s\)$/);
});

test('one lucky answer of a service that fails does not save it', async () => {
  const { ending } = await watched((at) => at < 4000 || Math.floor(at / 500) % 4 === 0);
  expect(ending).toMatchObject({ state: 'rolled-back', error: { code: 'WATCH_FAILED' } });
});

test('a service that is down for a moment, as its pid file is written anew, is not given up', async () => {
  let saved: Model['running'] = null;
  const { ending } = await watched(
    () => true,
    (model, at) => {
      saved ??= model.running;
      model.running = at > 4000 && at < 4400 ? null : saved;
    },
  );
  expect(ending).toMatchObject({ state: 'succeeded' });
});

test('a service that stays down is given up before the watch ends', async () => {
  const { ending } = await watched(
    () => true,
    (model, at) => {
      if (at > 4000) model.running = null;
    },
  );
  expect(ending).toMatchObject({ state: 'rolled-back', error: { code: 'WATCH_FAILED' } });
  expect(ending.error?.message).toContain('the service is not active: inactive (dead)');
});

test('a verdict counts the time from the first failure, and only a lasting recovery ends it', () => {
  const verdict = createVerdict(3000, 1000);
  expect(verdict.observe(false, 0)).toBeUndefined();
  expect(verdict.observe(true, 1000)).toBeUndefined();
  expect(verdict.observe(false, 1900)).toBeUndefined();
  expect(verdict.isOpen()).toBe(true);
  expect(verdict.observe(false, 3000)).toBe(3000);
  expect(verdict.observe(true, 4000)).toBeUndefined();
  expect(verdict.observe(true, 5000)).toBeUndefined();
  expect(verdict.isOpen()).toBe(false);
  expect(verdict.observe(false, 5100)).toBeUndefined();
});

test.each([
  ['between the last answer and the look after it', 1],
  ['between that look and the end of the checks', 2],
  ['between the checks and the first look of the watch', 3],
])('a crash %s is seen, although each process passes the checks', async (_when, look) => {
  const model = modelRunning('1.0.0');
  const ports = createFakePorts(model);
  let looks: number | undefined;
  const { status } = ports.manager;
  ports.manager.status = async (signal) => {
    const found = await status(signal);
    if (looks !== undefined) looks += 1;
    return looks !== undefined && looks >= look && model.current === '1.1.0'
      ? { ...found, mainPid: 4711 }
      : found;
  };
  const { probe } = ports.probe;
  ports.probe.probe = async (...args) => {
    const answer = await probe(...args);
    if (answer.ok && model.current === '1.1.0') looks ??= 0;
    return answer;
  };
  const life = await live(model, serviceConfig({ watch: 10_000 }), ports);
  const order = orderOf('1.1.0');
  await life.worker.accept(order);
  expect(await life.ending(order.deployment)).toMatchObject({
    state: 'rolled-back',
    error: { message: expect.stringContaining('the main process changed from') },
  });
});
