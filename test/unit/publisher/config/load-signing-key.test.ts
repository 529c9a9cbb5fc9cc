import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cwd, DEV, load, makeDirectoriesForEach } from '../../../support/publisher/config-fixture.ts';

makeDirectoriesForEach();

const withKey = (signingKey: string) => `environments:\n${DEV}    signingKey: ${signingKey}\n`;
const UUID = '1234abcd-12ab-34cd-56ef-1234567890ab';
const PLACE = 'arn:aws-us-gov:kms:us-gov-west-1:123456789012';

describe('signingKey', () => {
  it.each([
    'kms:alias/trigger-deploy-dev',
    'kms:alias/team/deploys_1',
    `kms:${UUID}`,
    'kms:mrk-1234abcd12ab34cd56ef1234567890ab',
    `kms:${PLACE}:key/${UUID}`,
    `kms:${PLACE}:alias/a`,
  ])('%s is a key of KMS, no path', async (key) => {
    expect((await load(withKey(key))).signingKey).toBe(key);
    const variables = { TRIGGER_DEPLOY_SIGNING_KEY: key };
    expect((await load(`environments:\n${DEV}`, { variables })).signingKey).toBe(key);
  });

  it.each(['kms:', 'kms:alias/', 'kms:dev', 'kms:alias/a b', `kms:key/${UUID}`, 'kms:arn:aws:s3:::b'])(
    '%s is a mistake',
    async (key) => {
      await expect(load(withKey(`"${key}"`))).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        detail: expect.stringContaining('expected a key of KMS: kms:alias/NAME'),
      });
    },
  );

  it('without kms: is the path of a file', async () => {
    expect((await load(withKey('./kms/dev.key.json'))).signingKey).toBe(join(cwd, 'kms/dev.key.json'));
  });
});
