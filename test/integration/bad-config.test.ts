import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AGENT, type Finished, PUBLISHER, startProgram } from '../support/programs.ts';

/** A config file with five mistakes: each program names all five at once, with line and path, and does nothing. */

let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'trigger-deploy-config-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

// No server answers there: a program that asked AWS all the same would say so.
const env = {
  AWS_ENDPOINT_URL: 'http://127.0.0.1:1',
  AWS_ACCESS_KEY_ID: 'key',
  AWS_SECRET_ACCESS_KEY: 'secret',
};
const run = (...argv: string[]): Promise<Finished> => startProgram(argv, { env, cwd: dir }).finished;

test('five mistakes are named by the publisher, and it stops there', async () => {
  await writeFile(
    join(dir, 'trigger-deploy.yaml'),
    `home: stg
environments:
  dev:
    region: eu_west_1
    topic: trigger-deploy-dev
    bukcet: acme-deploys-dev
    bucket: acme-deploys-dev
    signingKey: ci.key.json
    services:
      status: {}
`,
  );
  const result = await run(PUBLISHER, 'payments', '1.0.0', '--env', 'dev');
  expect(result).toMatchObject({ code: 2, stdout: '' });
  expect(result.stderr.replaceAll(`${dir}/`, '').split('\n')).toEqual([
    'trigger-deploy: trigger-deploy.yaml has 5 mistakes',
    '  trigger-deploy.yaml:1: home: expected one of the environments (dev), found "stg"',
    '  trigger-deploy.yaml:4: environments.dev.region: expected an AWS region such as eu-west-1, found "eu_west_1"',
    '  trigger-deploy.yaml:5: environments.dev.topic: expected the ARN of an SNS topic, found "trigger-deploy-dev"',
    '  trigger-deploy.yaml:6: environments.dev.bukcet: unknown key, did you mean "bucket"?',
    '  trigger-deploy.yaml:10: environments.dev.services.status: that word is a command of trigger-deploy and cannot name a service',
    '  → correct each line above',
    '',
  ]);
});

test.each(['run', 'check'])(
  'five mistakes are named by the agent, asked to %s, and it stops there',
  async (command) => {
    const file = join(dir, 'agent.yaml');
    await writeFile(
      file,
      `env: DEV
region: eu-west-1
topic: arn:aws:sns:eu-west-1:123456789012:trigger-deploy-dev
bucket: acme-deploys-dev
services:
  status:
    package: { type: jar, dir: /opt/status }
    manager: { type: systemd, unit: status.service }
  payments:
    package: { type: jar, dir: opt/payments }
    manager: { type: systemd, unit: payments.service }
    wach: 10s
`,
    );
    const result = await run(AGENT, command, '--config', file);
    expect(result).toMatchObject({ code: 2, stdout: '' });
    expect(result.stderr.replaceAll(`${dir}/`, '').split('\n')).toEqual([
      'trigger-deploy-agent: agent.yaml has 5 mistakes',
      'agent.yaml:1: env: an environment name has 1 to 16 characters of a-z and 0-9',
      expect.stringMatching(/^agent\.yaml:1: trust: missing: /),
      'agent.yaml:6: services.status: that word is a command of trigger-deploy and cannot name a service',
      'agent.yaml:10: services.payments.package.dir: expected an absolute path without ".."',
      'agent.yaml:12: services.payments.wach: unknown key',
      '  → correct each line above',
      '',
    ]);
  },
);
