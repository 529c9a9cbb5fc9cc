import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { candidates } from '../../../../publisher/config/config-source.ts';
import { environmentNames, loadBeside } from '../../../../publisher/config/load.ts';
import {
  cwd,
  DEV,
  details,
  home,
  load,
  makeDirectoriesForEach,
  refused,
  topic,
} from '../../../support/publisher/config-fixture.ts';

makeDirectoriesForEach();

describe('a valid file', () => {
  it('gives the named environment; its paths are relative to the file’s directory or to the home directory', async () => {
    const env = await load(`environments:
${DEV}    profile: acme-dev
    pathStyle: true
    signingKey: ~/keys/ci.key.json
    trust: [keys/old.pub.json, /etc/new.pub.json]
    services:
      payments: { maxFailures: 1, timeout: 5m }
`);
    expect(env).toEqual({
      name: 'dev',
      region: 'eu-west-1',
      profile: 'acme-dev',
      role: undefined,
      topic: topic('dev'),
      bucket: 'acme-deploys-dev',
      pathStyle: true,
      signingKey: join(home, 'keys/ci.key.json'),
      trust: [join(cwd, 'keys/old.pub.json'), '/etc/new.pub.json'],
      services: { payments: { maxFailures: 1, timeout: '5m' } },
      directory: cwd,
      requires: undefined,
      confirm: undefined,
      places: {
        region: join(cwd, 'trigger-deploy.yaml:3'),
        topic: join(cwd, 'trigger-deploy.yaml:4'),
        bucket: join(cwd, 'trigger-deploy.yaml:5'),
      },
    });
  });

  it('may hold an incomplete environment, which is refused only when it is used', async () => {
    const example = `home: dev
environments:
${DEV}    services:
      payments: { strategy: rolling, canary: 1, batch: 25%, autoConfirm: 10m }
  prd:
    requires: stg
    confirm: person
`;
    expect((await load(example)).services).toEqual({
      payments: { strategy: 'rolling', canary: 1, batch: '25%', autoConfirm: '10m' },
    });
    expect(details(await refused(example, { env: 'prd' }))).toEqual([
      'trigger-deploy.yaml:9: environments.prd.region: expected an AWS region such as eu-west-1, found nothing',
      'trigger-deploy.yaml:9: environments.prd.topic: expected the ARN of an SNS topic, found nothing',
      'trigger-deploy.yaml:9: environments.prd.bucket: expected the name of an S3 bucket, found nothing',
    ]);
  });

  it('is searched in the working directory, then in the user’s config directory, then in /etc', async () => {
    expect(candidates({ cwd: '/w', home: '/h', variables: {} })).toEqual([
      '/w/trigger-deploy.yaml',
      '/w/trigger-deploy.yml',
      '/h/.config/trigger-deploy/trigger-deploy.yaml',
      '/h/.config/trigger-deploy/trigger-deploy.yml',
      '/etc/trigger-deploy/trigger-deploy.yaml',
      '/etc/trigger-deploy/trigger-deploy.yml',
    ]);
    expect(candidates({ cwd: '/w', home: '/h', variables: { XDG_CONFIG_HOME: '/x' } })).toContain(
      '/x/trigger-deploy/trigger-deploy.yaml',
    );
    await writeFile(join(home, '.config/trigger-deploy/trigger-deploy.yaml'), `environments:\n${DEV}`);
    expect((await load(undefined)).bucket).toBe('acme-deploys-dev');
    const nearer = await load(`environments:\n${DEV.replace('acme-deploys-dev', 'nearer')}`);
    expect(nearer.bucket).toBe('nearer');
  });

  it('is not searched for when a path is named', async () => {
    const other = `environments:\n${DEV.replace('acme-deploys-dev', 'named')}`;
    await writeFile(join(cwd, 'other.yaml'), other);
    expect((await load(`environments:\n${DEV}`, { file: 'other.yaml' })).bucket).toBe('named');
    const variables = { TRIGGER_DEPLOY_CONFIG: 'other.yaml' };
    expect((await load(undefined, { variables })).bucket).toBe('named');
    const missing = await refused(undefined, { file: 'nowhere.yaml' });
    expect(missing).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('nowhere.yaml'),
    });
  });
});

describe('more than one environment', () => {
  const both = `environments:\n${DEV}${DEV.replaceAll('dev', 'stg')}`;
  const source = (variables: Record<string, string> = {}) => ({ cwd, home, variables });

  it('this program’s variables apply only to the environment the command works in', async () => {
    const variables = { TRIGGER_DEPLOY_BUCKET: 'other', TRIGGER_DEPLOY_ENV: 'dev', AWS_PROFILE: 'me' };
    expect((await load(both, { env: 'dev', variables })).bucket).toBe('other');
    expect(await loadBeside(source(variables), 'stg')).toMatchObject({
      name: 'stg',
      bucket: 'acme-deploys-stg',
    });
    const elsewhere = { TRIGGER_DEPLOY_CONFIG: 'other.yaml' };
    await writeFile(join(cwd, 'other.yaml'), both.replaceAll('acme', 'named'));
    expect((await loadBeside(source(elsewhere), 'stg')).bucket).toBe('named-deploys-stg');
    await expect(loadBeside(source(), 'prd')).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('there is no environment prd'),
    });
  });

  it('are all listed, in the file’s order; a missing or wrong file is an error', async () => {
    await expect(environmentNames(source())).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await load(both);
    expect(await environmentNames(source())).toEqual(['dev', 'stg']);
    await writeFile(join(cwd, 'trigger-deploy.yaml'), `${both}wrong: 1\n`);
    await expect(environmentNames(source())).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('an environment that requires itself is refused', async () => {
    expect(details(await refused(`environments:\n${DEV}    requires: dev\n`))).toEqual([
      'trigger-deploy.yaml:6: environments.dev.requires: expected another environment, found itself',
    ]);
  });
});

describe('which environment', () => {
  const both = `home: stg\nenvironments:\n${DEV}${DEV.replaceAll('dev', 'stg')}`;

  it('is --env, else TRIGGER_DEPLOY_ENV, else the file’s home for commands that use it', async () => {
    const variables = { TRIGGER_DEPLOY_ENV: 'dev' };
    expect((await load(both, { env: 'stg', variables })).name).toBe('stg');
    expect((await load(both, { env: undefined, variables })).name).toBe('dev');
    expect((await load(both, { env: undefined, orHome: true })).name).toBe('stg');
    expect(await refused(both, { env: undefined })).toMatchObject({
      code: 'USAGE',
      message: '--env is required',
      hint: 'add --env NAME or set TRIGGER_DEPLOY_ENV; the environments are dev, stg',
    });
  });

  it('that does not exist is refused, with the names of those that exist', async () => {
    expect(await refused(both, { env: 'stag' })).toMatchObject({
      code: 'USAGE',
      message: `there is no environment stag in ${cwd}/trigger-deploy.yaml`,
      hint: 'the environments are dev, stg (did you mean stg?)',
    });
    expect((await refused(both, { env: '__proto__' })).code).toBe('USAGE');
    expect((await refused(both, { env: 'constructor' })).code).toBe('USAGE');
  });
});

describe('a wrong file', () => {
  it('has every mistake reported at once, each with line, path and what was expected', async () => {
    const error = await refused(`home: tst
environments:
  dev:
    regio: eu-west-1
    topic: trigger-deploy-dev
    bucket: Acme_Deploys
    pathStyle: sometimes
    services:
      payments: { maxFailures: -1, strategy: canary }
  stg:
    bucket: 7
`);
    expect(error).toMatchObject({
      code: 'CONFIG_INVALID',
      message: `${cwd}/trigger-deploy.yaml has 9 mistakes`,
    });
    expect(details(error)).toEqual([
      'trigger-deploy.yaml:1: home: expected one of the environments (dev, stg), found "tst"',
      'trigger-deploy.yaml:3: environments.dev.region: expected an AWS region such as eu-west-1, found nothing',
      'trigger-deploy.yaml:4: environments.dev.regio: unknown key, did you mean "region"?',
      'trigger-deploy.yaml:5: environments.dev.topic: expected the ARN of an SNS topic, found "trigger-deploy-dev"',
      'trigger-deploy.yaml:6: environments.dev.bucket: expected the name of an S3 bucket, found "Acme_Deploys"',
      'trigger-deploy.yaml:7: environments.dev.pathStyle: expected true or false, found "sometimes"',
      'trigger-deploy.yaml:9: environments.dev.services.payments.strategy: expected all or rolling, found "canary"',
      'trigger-deploy.yaml:9: environments.dev.services.payments.maxFailures: expected a number of instances or a percentage such as 10%, found -1',
      'trigger-deploy.yaml:11: environments.stg.bucket: expected the name of an S3 bucket, found 7',
    ]);
  });

  it('is refused when it has an option of waves beside the strategy all', async () => {
    const both = `${DEV.trimEnd()}\n    services: { payments: { strategy: all, canary: 1 } }\n`;
    expect(details(await refused(`environments:\n${both}`))).toEqual([
      expect.stringContaining('payments.canary: expected strategy rolling with canary, found strategy all'),
    ]);
  });

  it('is refused when its topic is in another region or belongs to another environment', async () => {
    const elsewhere = DEV.replace(topic('dev'), topic('dev', 'us-east-1'));
    expect(details(await refused(`environments:\n${elsewhere}`))).toEqual([
      'trigger-deploy.yaml:4: environments.dev.topic: expected a topic in eu-west-1, the environment’s region, found one in us-east-1'.replace(
        '’',
        "'",
      ),
    ]);
    const others = DEV.replace(topic('dev'), topic('prd'));
    expect(details(await refused(`environments:\n${others}`))).toEqual([
      'trigger-deploy.yaml:4: environments.dev.topic: expected the topic trigger-deploy-dev, as the environment is dev, found trigger-deploy-prd',
    ]);
  });

  it('is refused when it names both a profile and a role', async () => {
    const role = 'arn:aws:iam::123456789012:role/trigger-deploy-publisher';
    const error = await refused(`environments:\n${DEV}    profile: acme\n    role: ${role}\n`);
    expect(details(error)).toEqual([
      'trigger-deploy.yaml:7: environments.dev.role: expected a profile or a role, found both',
    ]);
  });

  it('that is not YAML is refused with the line of the mistake', async () => {
    const error = await refused('environments:\n  dev: [\n');
    expect(details(error)[0]).toMatch(/^trigger-deploy\.yaml:\d: \(YAML\): /);
    const twice = await refused(`environments:\n${DEV}${DEV}`);
    expect(details(twice)[0]).toMatch(/^trigger-deploy\.yaml:6: \(YAML\): Map keys must be unique/);
  });

  it('of any other shape is refused, never a crash', async () => {
    for (const text of ['', '[]', '7', 'environments: 7', 'environments: { dev: }', 'environments: [1]']) {
      expect(await refused(text)).toMatchObject({ code: 'CONFIG_INVALID' });
    }
    expect(await refused('environments: { 7up!: {} }')).toMatchObject({
      detail: expect.stringContaining('an environment name has 1 to 16 characters of a-z and 0-9'),
    });
    expect(await refused(`environments:\n${DEV}    services: { push: {} }\n`)).toMatchObject({
      detail: expect.stringContaining('that word is a command of trigger-deploy'),
    });
  });

  it.each(['timeout: 0s', 'timeout: 00h', 'timeout: 1234567890s', 'autoConfirm: 1234567890s'])(
    'that waits for no time, or for longer than there is, is named: %s',
    async (entry) => {
      const [key] = entry.split(':');
      const text = `environments:\n${DEV}    services: { payments: { ${entry} } }\n`;
      expect(details(await refused(text))).toEqual([
        expect.stringContaining(`environments.dev.services.payments.${key}: expected a duration such as`),
      ]);
    },
  );
});
