import { afterEach, beforeEach, expect, it } from 'vitest';
import { type VersionsOptions, versions } from '../../../../publisher/commands/versions.ts';
import { plain } from '../../../../publisher/render/text.ts';
import { versionsJson, versionsLines, versionsTable } from '../../../../publisher/render/versions.ts';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { keys } from '../../../../shared/names.ts';
import { userIdOf } from '../../../support/cloud/sqs.ts';
import { notes, openStage, type Stage } from '../../../support/publisher/stage.ts';

const PUSHED = '2026-11-21T08:14:02.000Z';
const page = { columns: 300, paint: plain };

let dev: Stage;
let stg: Stage;
beforeEach(async () => {
  dev = await openStage();
  stg = await openStage({ name: 'stg', within: dev });
});
afterEach(async () => {
  await stg.close();
  await dev.close();
});

/** `names` become versions in this order: the index has the last of them first. */
async function push(...names: string[]): Promise<void> {
  const pushes = [];
  for (const version of names) {
    await dev.publish('payments', version);
    pushes.unshift({ version, pushedAt: PUSHED, pushedBy: 'ci' });
  }
  dev.cloud.putObject(dev.bucket, keys.index('payments'), JSON.stringify({ v: 1, nonce: 'n', pushes }));
}

function put({ cloud, bucket, env }: Stage, instance: string, version: string): void {
  const about = { v: 1, env: env.name, service: 'payments', instance, version, sequence: 1 };
  const record = { ...about, pinned: false, active: true, agentVersion: '0.1.0', at: PUSHED };
  cloud.putObject(bucket, keys.instance(env.name, 'payments', userIdOf(instance)), JSON.stringify(record));
}

async function desire(stage: Stage, version: string): Promise<void> {
  const artifacts = [{ name: 'a.jar', size: 1, sha256: 'a'.repeat(64), role: 'package' as const }];
  await (await stage.open()).record.desired.move({
    ...{ service: 'payments', version, artifacts, action: 'deploy', sequence: 1, changedBy: 'ann@desk' },
    deployment: '01JDB2Q0V7M3N8T5R9XKZC4W6H',
  });
}

const look = async (change: Partial<VersionsOptions> = {}) =>
  await versions(await dev.open(), {
    ...{ service: 'payments', limit: 20, others: [], open: async () => await stg.open(), ...change },
  });

it('lists the newest push first, with who pushed it, its size, and where it runs', async () => {
  await push('1.0.0', '1.1.0', '1.2.0');
  await desire(dev, '1.1.0');
  for (const instance of ['i-2', 'i-1']) put(dev, instance, '1.1.0');
  put(dev, 'i-3', '1.0.0');
  const found = await look();
  expect(found.more).toBe(false);
  expect(found.versions).toMatchObject([
    { version: '1.2.0', pushed: { by: 'ci', size: 3 }, runsIn: [] },
    { version: '1.1.0', runsIn: [{ env: 'dev', desired: true, instances: ['i-1', 'i-2'] }] },
    { version: '1.0.0', runsIn: [{ env: 'dev', desired: false, instances: ['i-3'] }] },
  ]);
  expect(versionsLines(found)).toEqual([
    expect.stringMatching(/^payments 1\.2\.0 pushed 20\S+Z by ci 3 B runs nowhere$/),
    expect.stringMatching(/^payments 1\.1\.0 .* runs in dev \(desired, 2 instances\)$/),
    expect.stringMatching(/^payments 1\.0\.0 .* runs in dev \(1 instance\)$/),
  ]);
  const [title, , newest] = versionsTable(found, page);
  expect(title).toBe('payments in dev');
  expect(newest).toMatch(/^ {2}1\.2\.0 {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}just now {2}3 B {2}ci$/);
  expect(versionsJson(found)[1]).toMatchObject({
    ...{ type: 'version', env: 'dev', service: 'payments', version: '1.1.0', pushedBy: 'ci', size: 3 },
    runsIn: [{ env: 'dev', desired: true, instances: ['i-1', 'i-2'] }],
  });
});

it('reads only the manifests of the versions it lists, and says that there are more', async () => {
  await push('1.0.0', '1.1.0', '1.2.0', '1.3.0');
  const before = dev.cloud.requests.length;
  const found = await look({ limit: 2 });
  expect(found.versions.map((one) => one.version)).toEqual(['1.3.0', '1.2.0']);
  expect(found.more).toBe(true);
  expect(versionsTable(found, page).at(-1)).toBe('  older versions: --limit');
  const manifests = dev.cloud.requests.slice(before).filter(({ key }) => key?.endsWith('manifest.jws'));
  expect(manifests).toHaveLength(2);
});

it('lists a version whose manifest is damaged or gone with the reason, and the others as usual', async () => {
  await push('1.0.0', '1.1.0', '1.2.0');
  dev.cloud.putObject(dev.bucket, keys.manifest('payments', '1.1.0'), 'a.b.c');
  dev.cloud.putObject(
    dev.bucket,
    keys.index('payments'),
    JSON.stringify({
      ...{ v: 1, nonce: 'n' },
      pushes: ['2.0.0', '1.2.0', '1.1.0'].map((version) => ({ version, pushedAt: PUSHED, pushedBy: 'ci' })),
    }),
  );
  const found = await look();
  expect(found.versions).toMatchObject([
    { version: '2.0.0', pushed: undefined, error: { code: 'VERSION_NOT_FOUND' } },
    { version: '1.2.0', pushed: { by: 'ci' }, error: undefined },
    { version: '1.1.0', pushed: undefined, error: { code: expect.stringMatching(/_INVALID$/) } },
  ]);
  expect(versionsLines(found)[0]).toContain('payments 2.0.0 unreadable VERSION_NOT_FOUND: ');
  expect(versionsTable(found, page).join('\n')).toMatch(/1\.1\.0 +\?.*_INVALID: /);
});

it('leaves out another environment that does not answer', async () => {
  await push('1.0.0');
  await desire(dev, '1.0.0');
  const session = await dev.open();
  const open = () => new Promise<never>(() => undefined);
  const found = await versions(session, {
    ...{ service: 'payments', limit: 20, others: ['stg'], open, timeoutMs: 50 },
  });
  expect(found.versions[0]?.runsIn).toMatchObject([{ env: 'dev', desired: true }]);
  expect(notes(session.events)).toEqual(['stg cannot be read: no answer within 50 ms']);
});

it('looks in other environments where it is asked to, and names one that cannot be read', async () => {
  await push('1.0.0');
  await desire(stg, '1.0.0');
  put(stg, 'i-9', '1.0.0');
  const session = await dev.open();
  const found = await versions(session, {
    ...{ service: 'payments', limit: 20, others: ['dev', 'stg', 'prd'] },
    open: async (name) => {
      if (name === 'prd') throw new TriggerDeployError('AWS_DENIED', 'AWS refuses');
      return await stg.open();
    },
  });
  expect(found.versions[0]?.runsIn).toEqual([{ env: 'stg', desired: true, instances: ['i-9'] }]);
  expect(notes(session.events)).toEqual(['prd cannot be read: AWS refuses']);
});

it('of a service of which nothing was pushed is refused', async () => {
  await expect(look()).rejects.toMatchObject({
    code: 'SERVICE_NOT_FOUND',
    message: 'there is no service payments in dev',
  });
});
