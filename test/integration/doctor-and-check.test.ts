import { expect, onTestFinished, test } from 'vitest';
import { keys } from '../../shared/names.ts';
import { deploy, push } from '../support/commands.ts';
import { BUCKET, ENV, startFleet } from '../support/fleet/fleet.ts';
import { takeDenials } from '../support/iam/ledger.ts';
import { PUBLISHER } from '../support/programs.ts';

/** `doctor` and `check` as programs, in short: doctor-and-check.long.test.ts breaks more. */

test('both end with 0 in an environment as init makes it; doctor ends with 1 when a lock was changed, and repairs it', async () => {
  const fleet = await startFleet();
  onTestFinished(() => fleet.stop());
  // A publisher may not list queues: left-over ones are unknown to it.
  onTestFinished(() => void takeDenials('publisher'));
  const operator = { ...fleet.env, AWS_ACCESS_KEY_ID: 'operator' };
  const init = [PUBLISHER, 'init', '--env', ENV, '--yes'];
  const made = fleet.start(init, { env: operator, cwd: fleet.publisherDir }).finished;
  const instance = await fleet.addInstance('i-0a1');
  expect(await made).toMatchObject({ code: 0 });
  await push(fleet, '1.0.0');
  await deploy(fleet, '1.0.0');
  const doctor = (...more: string[]) => fleet.publisher('doctor', '--env', ENV, '--output', 'lines', ...more);
  const [checked, healthy] = await Promise.all([fleet.runAgentCommand(instance, 'check'), doctor()]);
  expect(checked).toMatchObject({ code: 0, stdout: expect.stringMatching(/ready to run\n$/) });
  expect(healthy).toMatchObject({ code: 0, stdout: expect.not.stringContaining(' wrong ') });

  fleet.cloud.putObject(BUCKET, keys.lock(ENV, 'payments'), 'garbage');
  expect(await doctor()).toMatchObject({ code: 1, stdout: expect.stringContaining('payments wrong lock: ') });
  expect(await doctor('payments', '--repair')).toMatchObject({ code: 0 });
});
