import { expect, test } from 'vitest';
import type { Finding } from '../../../../agent/deploy/ports.ts';
import { live } from '../../../support/fleet/agent-life.ts';
import { createFakePorts, modelRunning, orderOf, serviceConfig } from '../../../support/fleet/fake-ports.ts';

/** What cannot succeed is refused before anything stops. */

const MASKED: Finding = { ok: false, what: 'pay.service is masked', hint: 'systemctl unmask pay.service' };

async function deployWith(inspect: (look: number) => Finding[], action: 'deploy' | 'restart' = 'deploy') {
  const model = modelRunning('1.0.0');
  let looks = 0;
  const readiness = {
    inspect: async () => {
      looks += 1;
      return inspect(looks);
    },
  };
  const life = await live(model, serviceConfig(), { ...createFakePorts(model), readiness });
  const order = orderOf(action === 'restart' ? '1.0.0' : '1.1.0', { action });
  await life.worker.accept(order);
  return { ending: await life.ending(order.deployment), model };
}

test.each(['deploy', 'restart'] as const)(
  'a %s that cannot succeed fails, and nothing was stopped',
  async (action) => {
    const { ending, model } = await deployWith(() => [MASKED], action);
    expect(ending).toMatchObject({
      state: 'failed',
      error: { code: 'NOT_READY', message: MASKED.what, hint: MASKED.hint },
    });
    expect([model.starts, model.course, model.running?.version]).toEqual([[], [], '1.0.0']);
  },
);

test('what went wrong since the preparation is found before the drain', async () => {
  const { ending, model } = await deployWith((look) => (look === 1 ? [] : [MASKED]));
  expect(ending).toMatchObject({ state: 'failed', error: { code: 'NOT_READY' } });
  expect(model.course).toEqual([]);
});

test('a warning refuses nothing', async () => {
  const { ending } = await deployWith(() => [{ ...MASKED, ok: true }]);
  expect(ending).toMatchObject({ state: 'succeeded' });
});

test('a warning that has a hint is a note of the report', async () => {
  const { ending, model } = await deployWith(() => [
    { ok: true, what: 'the file of pay.service was changed', hint: 'systemctl daemon-reload' },
  ]);
  expect(ending).toMatchObject({ state: 'succeeded' });
  expect(JSON.stringify(model)).toContain('pay.service was changed: systemctl daemon-reload');
});
