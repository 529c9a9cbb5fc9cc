import { readFile, writeFile } from 'node:fs/promises';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { keys } from '../../shared/names.ts';
import { clientsOf } from '../support/cloud/clients.ts';
import { deploy, push } from '../support/commands.ts';
import { logOf, nextLogged } from '../support/fleet/agent-log.ts';
import { BUCKET, type Fleet, type Instance, startFleet } from '../support/fleet/fleet.ts';
import { snapshotOf } from '../support/fleet/snapshot.ts';
import type { Finished } from '../support/programs.ts';
import { type Fields, forge, payloadOf, storedText, trustedKey } from '../support/publisher/announcements.ts';
import { withoutWaits } from '../support/publisher/events.ts';

/** The bucket holds other bytes than were pushed: nothing of it runs, and the publisher prints why. */

let fleet: Fleet;
let instance: Instance;

beforeAll(async () => {
  fleet = await startFleet();
  instance = await fleet.addInstance('i-0a1');
  await push(fleet, '1.0.0');
  await deploy(fleet, '1.0.0');
});
afterAll(() => fleet?.stop());

/** The key and the bytes of the version's archive. */
function archiveOf(version: string): { key: string; bytes: Buffer } {
  const manifest = payloadOf(storedText(fleet, keys.manifest('payments', version)));
  const [{ name, sha256 }] = manifest.artifacts as [{ name: string; sha256: string }];
  const key = keys.artifact('payments', version, sha256, name);
  const bytes = fleet.cloud.object(BUCKET, key)?.body;
  if (!bytes) throw new Error(`${key} is not there`);
  return { key, bytes };
}

async function deployWithoutChange(version: string, ...options: string[]): Promise<Finished> {
  const before = await snapshotOf(fleet, instance);
  const result = withoutWaits(await fleet.publisher('payments', version, '--env', 'dev', ...options));
  expect(await snapshotOf(fleet, instance)).toEqual(before);
  return result;
}

test.each<[string, string, string, (bytes: Buffer) => Buffer, RegExp]>([
  [
    'has the same size and other bytes',
    '1.1.1',
    'ARTIFACT_DIGEST_MISMATCH',
    (bytes) => Buffer.from(bytes.map((byte, index) => (index === bytes.length - 1 ? byte ^ 1 : byte))),
    /payments-1\.1\.1\.tar\.gz has sha256 [0-9a-f]{64}, but the signed one is [0-9a-f]{64}/,
  ],
  [
    'was cut short',
    '1.1.2',
    'DOWNLOAD_FAILED',
    (bytes) => bytes.subarray(0, bytes.length / 2),
    /cannot download payments-1\.1\.2\.tar\.gz of payments 1\.1\.2: the stored file is shorter than its signed size/,
  ],
  [
    'is longer and begins otherwise',
    '1.1.3',
    'ARTIFACT_DIGEST_MISMATCH',
    (bytes) => Buffer.concat([Buffer.from('junk'), bytes]),
    /payments-1\.1\.3\.tar\.gz has sha256 [0-9a-f]{64}, but the signed one is [0-9a-f]{64}/,
  ],
])('an archive that %s fails before anything is stopped', async (_title, version, code, spoil, why) => {
  await push(fleet, version);
  const { key, bytes } = archiveOf(version);
  fleet.cloud.putObject(BUCKET, key, spoil(bytes));
  const logged = nextLogged(instance, (entry) => entry.msg === 'failed');
  const result = await deployWithoutChange(version);
  expect(result.code).toBe(1);
  expect(result.stdout).toMatch(new RegExp(`payments i-0a1 failed ${version} .*${code}: ${why.source}`));
  expect(result.stdout).toMatch(/settled failed: .*nothing changed.*the desired state stays 1\.0\.0/);
  expect(result.stdout).not.toMatch(/ (draining|switching|starting) /);
  expect(await logged).toMatchObject({ level: 'warn', code });
});

test('an archive that is gone fails before anything is stopped, and the place is named', async () => {
  await push(fleet, '1.1.4');
  const { key } = archiveOf('1.1.4');
  const { s3, close } = clientsOf(fleet.cloud);
  await s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key }));
  close();
  const result = await deployWithoutChange('1.1.4');
  expect(result.code).toBe(1);
  expect(result.stdout).toContain('ARTIFACT_NOT_FOUND');
  expect(result.stdout).toContain(`s3://${BUCKET}/${key} does not exist`);
});

test('of an archive with bytes after its end only the signed ones are taken', async () => {
  await push(fleet, '1.1.5');
  const { key, bytes } = archiveOf('1.1.5');
  fleet.cloud.putObject(BUCKET, key, Buffer.concat([bytes, Buffer.alloc(1000, 'junk')]));
  await deploy(fleet, '1.1.5');
  expect(await fleet.ask(instance)).toEqual({ status: 200, version: '1.1.5' });
});

test('a version that failed for its bytes is deployed once they are what was pushed', async () => {
  const { key, bytes } = archiveOf('1.1.3');
  fleet.cloud.putObject(BUCKET, key, bytes.subarray('junk'.length));
  await deploy(fleet, '1.1.3');
  expect(await fleet.ask(instance)).toEqual({ status: 200, version: '1.1.3' });
});

test.each<[string, string, (manifest: Fields) => Promise<Fields | string>, string]>([
  ['altered', '1.2.1', async (manifest) => ({ ...manifest, pushedBy: 'mallory' }), 'SIGNATURE_INVALID'],
  [
    'of another version',
    '1.2.2',
    async () => storedText(fleet, keys.manifest('payments', '1.0.0')),
    'DOCUMENT_INVALID',
  ],
  [
    'signed as an announcement',
    '1.2.3',
    async (payload) =>
      forge({ key: await trustedKey(fleet), payload, header: { typ: 'td-announcement+jws' } }),
    'SIGNATURE_INVALID',
  ],
])('a manifest that is %s is refused, and nothing is announced', async (_title, version, spoil, code) => {
  await push(fleet, version);
  const key = keys.manifest('payments', version);
  const [head, , signature] = storedText(fleet, key).split('.');
  const spoilt = await spoil(payloadOf(storedText(fleet, key)));
  const payload = Buffer.from(JSON.stringify(spoilt)).toString('base64url');
  fleet.cloud.putObject(
    BUCKET,
    key,
    typeof spoilt === 'string' ? spoilt : [head, payload, signature].join('.'),
  );
  const published = fleet.cloud.requests.filter(({ operation }) => operation === 'Publish').length;
  const result = await deployWithoutChange(version, '--verbose');
  expect(result).toMatchObject({ code: 4, stdout: '' });
  expect(result.stderr).toMatch(/^trigger-deploy: [^\n]+\n {2}→ [^\n]+\n {2}code /);
  expect(result.stderr.split('\n')[0]).toContain(key);
  expect(result.stderr).toContain(`code ${code}, exit 4`);
  expect(fleet.cloud.requests.filter(({ operation }) => operation === 'Publish').length).toBe(published);
});

test('an agent whose bucket is not there keeps its service, says so, and deploys once the config is right', async () => {
  await push(fleet, '1.3.0');
  const config = await readFile(instance.configFile, 'utf8');
  await fleet.stopAgent(instance);
  await writeFile(instance.configFile, stringify({ ...parse(config), bucket: 'acme-nowhere' }));
  await fleet.startAgent(instance);
  const result = await deployWithoutChange('1.3.0');
  expect(result.code).toBe(1);
  expect(result.stdout).toMatch(
    /i-0a1 failed 1\.3\.0 .*BUCKET_NOT_FOUND: .*acme-nowhere: there is no such bucket/,
  );
  expect(logOf(instance).find(({ err }) => err?.code === 'BUCKET_NOT_FOUND')?.level).toBe('warn');
  await fleet.stopAgent(instance);
  await writeFile(instance.configFile, config);
  await fleet.startAgent(instance);
  await deploy(fleet, '1.3.0');
  expect(await fleet.ask(instance)).toEqual({ status: 200, version: '1.3.0' });
});
