import { join } from 'node:path';
import { expect, test } from 'vitest';
import { proved } from '../support/reliability.ts';
import { adoptionJob, journalJob, killedPackageJob, packageJob } from './support/disk/jobs.ts';
import { cutEverywhere, killThenCut } from './support/disk/power-cuts.ts';
import { quickDirectory } from './support/disk/recording.ts';
import { PACKAGE_TYPES } from './support/disk/world.ts';

/**
 * The power is cut after every change of the disk. What was not synced is lost, or kept, or half of each, in
 * every directory for itself (support/disk-model.ts); what is left is opened by the real code.
 */

test.each(PACKAGE_TYPES)(
  'after a power cut at any point, %s releases are whole and current is one of them',
  async (type) => {
    const root = await quickDirectory();
    const { points } = await cutEverywhere(packageJob(type, join(root, 'opt', 'payments')), root);
    expect(points).toBeGreaterThan(100);
    proved('power-loss', `${type}: ${points} crash points, each with every state of the disk it may leave`);
  },
);

test('after a power cut at any point, releases that are synced with their file system are whole', async () => {
  const root = await quickDirectory();
  const { points } = await cutEverywhere(packageJob('archive', join(root, 'opt', 'payments'), 2), root);
  expect(points).toBeGreaterThan(100);
  proved(
    'power-loss',
    `archive of many files: ${points} crash points, each with every state of the disk it may leave`,
  );
});

test.each(PACKAGE_TYPES)('adopting a %s survives a power cut at any point', async (type) => {
  const root = await quickDirectory();
  const { points } = await cutEverywhere(adoptionJob(type, root), root);
  expect(points).toBeGreaterThan(40);
  proved(
    'power-loss',
    `adopted ${type}: ${points} crash points, each with every state of the disk it may leave`,
  );
});

test('after a power cut at any point, the journal holds the last state it promised, or a newer one', async () => {
  const root = await quickDirectory();
  const job = journalJob(join(root, 'state', 'services', 'payments.journal'));
  const { points } = await cutEverywhere(job, root);
  expect(points).toBeGreaterThan(30);
  proved('power-loss', `journal: ${points} crash points, each with every state of the disk it may leave`);
});

test('what a killed agent left un-synced of a jar, the next one does not build on', async () => {
  const root = await quickDirectory();
  const { job, again } = killedPackageJob('jar', join(root, 'opt', 'payments'));
  const { points } = await killThenCut(job, again, root);
  expect(points).toBeGreaterThan(50);
  proved('power-loss', `jar: ${points} kills, a power cut after the next start of each`);
});

test('a state that was read after a kill is not forgotten at a power cut', async () => {
  const root = await quickDirectory();
  const job = journalJob(join(root, 'state', 'services', 'payments.journal'));
  const { points } = await killThenCut(job, (path) => ({ kind: 'journal', path, calls: [['load']] }), root);
  expect(points).toBeGreaterThan(30);
  proved('power-loss', `journal: ${points} kills, a power cut after the next start of each`);
});
