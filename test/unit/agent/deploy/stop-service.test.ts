import { expect, test } from 'vitest';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { createModel, modelRunning } from '../../../support/fleet/fake-ports.ts';
import { deployInPlace } from '../../../support/fleet/in-place.ts';

/** What starts the service stops with it while files are replaced, and starts with it again. */

const FAILED = { '1.1': new TriggerDeployError('DPKG_FAILED', 'it did not install') };

test('the triggers that are up are in the journal before the stop, and are started again', async () => {
  const model = modelRunning('1.0');
  const triggers = new Set(['pay.socket']);
  expect(await deployInPlace(model, '1.1', { triggers })).toMatchObject({ ending: { state: 'succeeded' } });
  expect(model.course).toEqual(['journal pay.socket', 'stop', 'restart 1.1']);
  expect([...triggers]).toEqual(['pay.socket']);
});

test('a rollback starts what the deployment stopped, although nothing was up at its own stop', async () => {
  const triggers = new Set(['pay.socket']);
  const { ending } = await deployInPlace(modelRunning('1.0'), '1.1', { triggers, failing: FAILED });
  expect(ending.state).toBe('rolled-back');
  expect([...triggers]).toEqual(['pay.socket']);
});

test('a version that its maintainer scripts started is started again if its socket is down', async () => {
  const model = modelRunning('1.0');
  const triggers = new Set(['pay.socket']);
  const { ending } = await deployInPlace(model, '1.1', { triggers, startedByScripts: ['1.1'] });
  expect(ending.state).toBe('succeeded');
  expect([model.starts, [...triggers]]).toEqual([['1.1'], ['pay.socket']]);
});

test('after a first deployment that failed, the triggers stay stopped; a first one starts what starts at a boot', async () => {
  const triggers = new Set(['pay.socket']);
  expect((await deployInPlace(createModel(), '1.1', { triggers, failing: FAILED })).ending.state).not.toBe(
    'succeeded',
  );
  expect([...triggers]).toEqual([]);
  expect((await deployInPlace(createModel(), '1.1', { triggers })).ending.state).toBe('succeeded');
  expect([...triggers]).toEqual(['enabled']);
});
