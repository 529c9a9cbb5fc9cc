import { chmod, lstat, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { addEnvironment, newConfigFile } from '../../../../publisher/config/add-environment.ts';
import { loadEnvironment } from '../../../../publisher/config/load.ts';
import { loadForSetup } from '../../../../publisher/config/load-setup.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'config-'));
});
afterEach(() => rm(home, { recursive: true }));

const ENTRY = {
  region: 'eu-west-1',
  topic: 'arn:aws:sns:eu-west-1:123456789012:trigger-deploy-stg',
  bucket: 'acme-deploys-stg',
};
const source = (more: object = {}) => ({ cwd: home, home, variables: {}, ...more });

test('a new file has the environment as its home, and can be loaded', async () => {
  const file = newConfigFile(source());
  expect(file).toBe(join(home, '.config/trigger-deploy/trigger-deploy.yaml'));
  await addEnvironment(file, 'stg', ENTRY);
  expect(await loadEnvironment(source(), { name: undefined, orHome: true })).toMatchObject({
    name: 'stg',
    ...ENTRY,
  });
});

test('the comments, the order and the mode of a file stay', async () => {
  const file = join(home, 'trigger-deploy.yaml');
  const before =
    '# ours\nhome: dev # first\nenvironments:\n  dev:\n    region: eu-west-1 # Dublin\n    bucket: a-b-c\n';
  await writeFile(file, before);
  await chmod(file, 0o640);
  await addEnvironment(file, 'stg', ENTRY);
  const text = await readFile(file, 'utf8');
  expect(text.startsWith(before)).toBe(true);
  expect(text.slice(before.length)).toBe(
    `  stg:\n    region: eu-west-1\n    topic: ${ENTRY.topic}\n    bucket: acme-deploys-stg\n`,
  );
  expect((await stat(file)).mode & 0o777).toBe(0o640);
  expect(await readdir(home)).toEqual(['trigger-deploy.yaml']);
});

test('a link to the file stays a link, and its ends of line stay', async () => {
  const file = join(home, 'trigger-deploy.yaml');
  await writeFile(join(home, 'real.yaml'), 'environments:\r\n  dev:\r\n    region: eu-west-1\r\n');
  await symlink('real.yaml', file);
  await addEnvironment(file, 'stg', { region: 'eu-west-1' });
  expect((await lstat(file)).isSymbolicLink()).toBe(true);
  expect(await readFile(join(home, 'real.yaml'), 'utf8')).toBe(
    'environments:\r\n  dev:\r\n    region: eu-west-1\r\n  stg:\r\n    region: eu-west-1\r\n',
  );
});

test('environments without a value get their first', async () => {
  const file = join(home, 'trigger-deploy.yaml');
  await writeFile(file, 'home: stg\nenvironments: # none yet\n');
  await addEnvironment(file, 'stg', { region: 'eu-west-1' });
  expect(await readFile(file, 'utf8')).toMatch(/\n {2}stg:\n {4}region: eu-west-1\n/);
});

test('an environment that another run wrote meanwhile stays as it is', async () => {
  const file = join(home, 'trigger-deploy.yaml');
  const text = 'environments:\n    stg: { region: us-east-1 } # theirs\n';
  await writeFile(file, text);
  await addEnvironment(file, 'stg', ENTRY);
  expect(await readFile(file, 'utf8')).toBe(text);
});

test('a file that is not there where it was named is made there, if it is to be written', async () => {
  expect(newConfigFile(source({ file: 'mine.yaml' }))).toBe(join(home, 'mine.yaml'));
  const typed = { env: 'stg', region: 'eu-west-1', bucket: 'acme-deploys-stg' };
  const place = await loadForSetup(source({ file: 'mine.yaml' }), { ...typed, writeConfig: true });
  expect(place).toMatchObject({ file: undefined, isConfigured: false });
  await expect(loadForSetup(source({ file: 'mine.yaml' }), typed)).rejects.toThrow(/cannot read .*mine.yaml/);
});

test('what cannot be written is said, with the way without it', async () => {
  await writeFile(join(home, 'file'), '');
  await expect(addEnvironment(join(home, 'file/trigger-deploy.yaml'), 'stg', ENTRY)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    hint: 'leave --write-config out, and add the lines that are printed by hand',
  });
});

test('an environment of the variables alone needs no file', async () => {
  const variables = {
    TRIGGER_DEPLOY_REGION: ENTRY.region,
    TRIGGER_DEPLOY_TOPIC: ENTRY.topic,
    TRIGGER_DEPLOY_BUCKET: ENTRY.bucket,
  };
  expect(await loadForSetup(source({ variables }), { env: 'stg' })).toMatchObject({
    ...{ env: 'stg', account: '123456789012', isConfigured: true, file: undefined },
  });
});

test.each([
  [{ env: 'Dev' }, /"Dev" cannot be an environment/],
  [{ env: 'dev', region: 'eu-west-1' }, /--bucket must say where it will be/],
  [
    { env: 'dev', region: 'Ireland', bucket: 'a-b-c' },
    /--region: expected an AWS region such as eu-west-1, found "Ireland"/,
  ],
  [{ env: 'dev', region: 'eu-west-1', bucket: 'A' }, /--bucket: expected the name of an S3 bucket/],
  [{}, /--env is required/],
])('%j is refused', async (typed, message) => {
  await expect(loadForSetup(source(), typed)).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringMatching(message),
  });
});

test('what the config uses and needs permissions for is known', async () => {
  await writeFile(
    join(home, 'trigger-deploy.yaml'),
    `environments:\n  stg:\n    region: ${ENTRY.region}\n    topic: ${ENTRY.topic}\n    bucket: ${ENTRY.bucket}\n    ec2: true\n    queueTags: { team: web }\n    services:\n      payments: { alarms: [errors] }\n`,
  );
  const { uses } = await loadForSetup(source(), { env: 'stg' });
  expect(uses).toEqual(['alarms', 'ec2', 'queue-tags']);
});
