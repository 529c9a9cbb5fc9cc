import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { loadEnvironment } from '../../../../publisher/config/load.ts';
import type { TriggerDeployError } from '../../../../shared/errors.ts';

let cwd: string;
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'config-notify-'));
});
afterEach(() => rm(cwd, { recursive: true }));

const topic = (name: string, region = 'eu-west-1') => `arn:aws:sns:${region}:123456789012:${name}`;
async function load(notify: string) {
  const text = `environments:
  prd:
    region: eu-west-1
    topic: ${topic('trigger-deploy-prd')}
    bucket: b-prd
    notify: ${notify}
`;
  await writeFile(join(cwd, 'trigger-deploy.yaml'), text);
  const source = { cwd, home: cwd, variables: {}, file: undefined };
  return (await loadEnvironment(source, { name: 'prd', orHome: false })).notify;
}

it.each([
  [
    '{ webhook: https://hooks.slack.com/services/T/B/S3CRET }',
    { address: expect.stringContaining('S3CRET') },
  ],
  ['{ webhook: http://127.0.0.1:9999/hook }', { address: expect.stringContaining('127.0.0.1') }],
  ['{ webhookFile: keys/slack }', { file: expect.stringMatching(/^\/.*\/keys\/slack$/) }],
  ['{ webhookVariable: SLACK_WEBHOOK }', { variable: 'SLACK_WEBHOOK' }],
])('notify: %s says where the address of the webhook lies', async (text, webhook) => {
  expect(await load(text)).toEqual({ webhook, events: undefined });
});

it('an events topic can be set with a webhook, or without one', async () => {
  expect(await load(`{ events: ${topic('deploys')} }`)).toEqual({ events: topic('deploys') });
});

it.each([
  ['{ webhook: http://hooks.slack.com/S3CRET }', 'notify.webhook: expected an https address'],
  ['{ webhook: https://S3CRET:S3CRET@hooks.slack.com/ }', 'notify.webhook: expected an https address'],
  ['{ webhook: [https://hooks.slack.com/S3CRET] }', 'notify.webhook: expected an https address'],
  ['https://hooks.slack.com/S3CRET', 'notify: expected webhook, webhookFile or webhookVariable, and events'],
  [
    '{ webhookVariable: https://hooks.slack.com/S3CRET }',
    'notify.webhookVariable: expected the name of a variable',
  ],
  ['{ webhok: https://hooks.slack.com/S3CRET }', 'notify.webhok: unknown key, did you mean "webhook"?'],
  [
    '{ webhook: https://h/S3CRET, webhookFile: f }',
    'notify: expected one of webhook, webhookFile and webhookVariable',
  ],
  [`{ events: ${topic('deploys', 'us-east-1')} }`, 'notify.events: expected a topic in eu-west-1'],
  [`{ events: ${topic('trigger-deploy-prd')} }`, 'notify.events: expected a separate topic'],
])('notify: %s is refused without showing what may be a secret', async (text, mistake) => {
  const error: TriggerDeployError = await load(text).then(
    () => expect.fail('it was accepted'),
    (thrown) => thrown,
  );
  expect(error.code).toBe('CONFIG_INVALID');
  expect(error.detail).toContain(`environments.prd.${mistake}`);
  expect(JSON.stringify([error.message, error.detail, error.hint])).not.toContain('S3CRET');
});
