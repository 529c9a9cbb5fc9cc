import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deploy, push } from '../support/commands.ts';
import { BUCKET, type Fleet, type Instance, startFleet } from '../support/fleet/fleet.ts';
import { snapshotOf } from '../support/fleet/snapshot.ts';
import { takeDenials } from '../support/iam/ledger.ts';
import { PUBLISHER } from '../support/programs.ts';

/** The programs with the printed policies of those who only look: they see everything, and change nothing. */

let fleet: Fleet;
let instance: Instance;
let archive: string;
let deployment: string;

beforeAll(async () => {
  fleet = await startFleet();
  instance = await fleet.addInstance('i-0a1');
  await push(fleet, '1.0.0');
  await push(fleet, '1.1.0');
  await deploy(fleet, '1.0.0');
  archive = await fleet.pack('1.2.0');
  const { stdout } = await fleet.publisher('history', 'payments', '--env', 'dev', '--output', 'json');
  deployment = (JSON.parse(stdout.split('\n')[0] ?? '') as { deployment: string }).deployment;
});
afterAll(() => fleet?.stop());

describe.each(['reader', 'console'] as const)('the role %s', (role) => {
  const typed = (...args: string[]) =>
    fleet.start([PUBLISHER, ...args, '--env', 'dev'], {
      env: { ...fleet.env, ...fleet.cloud.env(role) },
      cwd: fleet.publisherDir,
    }).finished;

  test.each(['status', 'status payments', 'history payments', 'versions payments', 'show ID', 'watch ID'])(
    '%s works',
    async (line) => {
      const result = await typed(...line.replace('ID', deployment).split(' '));
      expect(result, result.stderr).toMatchObject({ code: 0 });
      expect(result.stdout).toContain('1.0.0');
      // `status` asks the instances if it may, and else shows the record.
      takeDenials(role);
    },
  );

  test.each([
    'payments 1.1.0',
    'rollback payments --to 1.1.0',
    'pause payments --reason incident',
    'push payments 1.2.0 FILE',
  ])('%s is refused with what AWS says, and changes nothing', async (line) => {
    const objects = () => fleet.cloud.objects(BUCKET, '').toSorted();
    const before = { objects: objects(), instance: await snapshotOf(fleet, instance) };
    const result = await typed(...line.replace('FILE', archive).split(' '));
    expect(result, result.stderr).toMatchObject({ code: 4 });
    // S3 does not name the action in its answer to a HEAD, which has no body.
    expect(result.stderr).toMatch(/AWS refuses \(.*(s3:PutObject|sns:Publish|sqs:CreateQueue|HTTP 403)/);
    expect({ objects: objects(), instance: await snapshotOf(fleet, instance) }).toEqual(before);
    expect(takeDenials(role).length).toBeGreaterThan(0);
  });
});
