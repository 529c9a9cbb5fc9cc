import { expect, test } from 'vitest';
import type { Change } from '../../../../agent/deploy/ports.ts';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { live } from '../../../support/fleet/agent-life.ts';
import {
  createFakePorts,
  type Model,
  modelRunning,
  orderOf,
  serviceConfig,
} from '../../../support/fleet/fake-ports.ts';

/** The steps over a package type that replaces files in place: it stops the service, and scripts may start it. */

interface InPlace {
  /** Versions whose maintainer scripts start the unit. */
  startedByScripts?: string[];
  /** What a switch to a version throws, once it stopped the service. */
  failing?: Record<string, TriggerDeployError>;
  whole?: boolean;
}

async function deploy(
  model: Model,
  version: string,
  { startedByScripts = [], failing = {}, whole = true }: InPlace,
) {
  const changes: Pick<Change, 'direction' | 'attempt' | 'again'>[] = [];
  const ports = createFakePorts(model);
  const { switchTo } = ports.package;
  ports.package.isWhole = async () => whole;
  ports.package.switchTo = async (to, change) => {
    changes.push({ direction: change.direction, attempt: change.attempt, again: change.again });
    await change.stop();
    const error = failing[to ?? ''];
    if (error) throw error;
    await switchTo(to, change);
    if (to !== null && startedByScripts.includes(to)) {
      model.running = { version: to, pid: 7, invocation: `script-${to}` };
    }
  };
  const life = await live(model, serviceConfig(), ports);
  const order = orderOf(version);
  await life.worker.accept(order);
  const ending = await life.ending(order.deployment);
  return { ending, changes };
}

test('a unit that a maintainer script started is not started again', async () => {
  const model = modelRunning('1.0');
  const { ending, changes } = await deploy(model, '1.1', { startedByScripts: ['1.1'] });
  expect(ending.state).toBe('succeeded');
  expect(model.starts).toEqual([]);
  expect(changes).toEqual([{ direction: 'forward', attempt: 1, again: false }]);
});

test('a unit that no script started is started', async () => {
  const model = modelRunning('1.0');
  const { ending } = await deploy(model, '1.1', {});
  expect(ending.state).toBe('succeeded');
  expect(model.starts).toEqual(['1.1']);
});

test('on the way back a unit that a script started is not started again either', async () => {
  const model = modelRunning('1.0');
  model.unhealthy.add('1.1');
  const { ending, changes } = await deploy(model, '1.1', { startedByScripts: ['1.0', '1.1'] });
  expect(ending.state).toBe('rolled-back');
  expect(model).toMatchObject({ starts: [], running: { version: '1.0' } });
  expect(changes.map(({ direction }) => direction)).toEqual(['forward', 'back']);
});

test('a switch that fails with the service down brings the old release back, started', async () => {
  const model = modelRunning('1.0');
  const failure = new TriggerDeployError('DPKG_FAILED', 'postinst exited with 1', { detail: 'its words' });
  const { ending } = await deploy(model, '1.1', { failing: { '1.1': failure } });
  expect(ending).toMatchObject({
    state: 'rolled-back',
    error: { code: 'DPKG_FAILED', detail: expect.stringContaining('its words') },
  });
  expect(model).toMatchObject({ starts: ['1.0'], running: { version: '1.0' } });
});

test('a version that runs, healthy, but is not installed as a whole is installed again', async () => {
  const model = modelRunning('1.0');
  const { ending, changes } = await deploy(model, '1.0', { whole: false });
  expect(ending).toMatchObject({ state: 'succeeded', changed: true });
  expect(changes).toEqual([{ direction: 'forward', attempt: 1, again: true }]);
});
