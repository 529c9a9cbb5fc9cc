import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  cwd,
  DEV,
  details,
  load,
  makeDirectoriesForEach,
  refused,
  topic,
} from '../../../support/publisher/config-fixture.ts';

makeDirectoriesForEach();

describe('variables', () => {
  it('override the file; their paths are relative to the working directory', async () => {
    const env = await load(`environments:\n${DEV}    profile: acme\n    signingKey: ci.key.json\n`, {
      variables: {
        TRIGGER_DEPLOY_REGION: 'us-east-1',
        TRIGGER_DEPLOY_TOPIC: topic('dev', 'us-east-1'),
        TRIGGER_DEPLOY_BUCKET: 'other',
        TRIGGER_DEPLOY_SIGNING_KEY: 'elsewhere.json',
        TRIGGER_DEPLOY_ROLE: 'arn:aws:iam::123456789012:role/publisher',
        TRIGGER_DEPLOY_PATH_STYLE: '1',
      },
    });
    expect(env).toMatchObject({
      region: 'us-east-1',
      topic: topic('dev', 'us-east-1'),
      bucket: 'other',
      profile: undefined,
      role: 'arn:aws:iam::123456789012:role/publisher',
      signingKey: join(cwd, 'elsewhere.json'),
      pathStyle: true,
      places: {
        region: 'TRIGGER_DEPLOY_REGION',
        topic: 'TRIGGER_DEPLOY_TOPIC',
        bucket: 'TRIGGER_DEPLOY_BUCKET',
      },
    });
  });

  it('can replace the file', async () => {
    const variables = {
      TRIGGER_DEPLOY_ENV: 'dev',
      TRIGGER_DEPLOY_REGION: 'eu-west-1',
      TRIGGER_DEPLOY_TOPIC: topic('dev'),
      TRIGGER_DEPLOY_BUCKET: 'acme',
    };
    expect(await load(undefined, { env: undefined, variables })).toMatchObject({
      name: 'dev',
      bucket: 'acme',
    });
    expect(await refused(undefined, { env: 'prd', variables })).toMatchObject({
      code: 'CONFIG_INVALID',
      detail: expect.stringContaining('expected the topic trigger-deploy-prd'),
    });
    expect(await refused(undefined)).toMatchObject({
      code: 'CONFIG_INVALID',
      message: 'no trigger-deploy.yaml was found',
      detail: expect.stringContaining(`looked for ${cwd}/trigger-deploy.yaml`),
    });
  });

  it('that are wrong are reported together with the mistakes of the file', async () => {
    const variables = { TRIGGER_DEPLOY_BUCKET: 'No', TRIGGER_DEPLOY_PATH_STYLE: 'perhaps' };
    expect(details(await refused(`environments:\n${DEV}    colour: red\n`, { variables }))).toEqual([
      'TRIGGER_DEPLOY_BUCKET: expected the name of an S3 bucket, found "No"',
      'TRIGGER_DEPLOY_PATH_STYLE: expected true or false, found "perhaps"',
      'trigger-deploy.yaml:6: environments.dev.colour: unknown key',
    ]);
  });

  it('of the SDK replace the file’s profile and a missing region, never a role', async () => {
    const withProfile = `environments:\n${DEV}    profile: acme\n`;
    expect((await load(withProfile, { variables: { AWS_PROFILE: 'mine' } })).profile).toBeUndefined();
    expect((await load(withProfile, { variables: { AWS_ACCESS_KEY_ID: 'AK' } })).profile).toBeUndefined();
    expect((await load(withProfile, { variables: { AWS_PROFILE: '' } })).profile).toBe('acme');
    const variables = { AWS_REGION: 'us-east-1' };
    expect((await load(withProfile, { variables })).region).toBe('eu-west-1');
    const regionless = `environments:\n${DEV.replace('    region: eu-west-1\n', '').replace('eu-west-1', 'us-east-1')}`;
    expect((await load(regionless, { variables })).region).toBe('us-east-1');
  });
});
