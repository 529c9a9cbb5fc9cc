import { expect, it } from 'vitest';
import { createOwnUserId, probeUserId } from '../../../../agent/aws/own-user-id.ts';
import { NEVER } from '../../../../shared/abort.ts';
import { createAws } from '../../../../shared/aws.ts';
import { silentLog } from '../../../../shared/log.ts';
import { cloudAndAws } from '../../../support/aws/fixture.ts';
import { sessionKey } from '../../../support/cloud/sqs.ts';

const asked = (cloud: Awaited<ReturnType<typeof cloudAndAws>>['cloud']) =>
  cloud.requests.filter(({ operation }) => operation === 'GetCallerIdentity').length;

async function as(accessKeyId: string) {
  const { cloud } = await cloudAndAws();
  Object.assign(process.env, cloud.env(accessKeyId));
  return { cloud, aws: createAws({ region: cloud.region, pathStyle: true }) };
}

it('the userid is that of the role session, and STS is asked once', async () => {
  const { cloud, aws } = await as('session-i-0a');
  const userId = createOwnUserId(aws, { instance: 'i-0a', session: undefined }, silentLog());
  expect(await userId(NEVER)).toBe('AROAEMBEDDEDCLOUD:i-0a');
  expect(await userId(NEVER)).toBe('AROAEMBEDDEDCLOUD:i-0a');
  expect(asked(cloud)).toBe(1);
});

it('STS is asked again after some time, because the instance can get another role; until then the last answer counts', async () => {
  const { cloud, aws } = await as('session-i-0a');
  let now = 0;
  const userId = createOwnUserId(aws, { instance: 'i-0a', session: undefined }, silentLog(), () => now);
  const first = await userId(NEVER);
  aws.settings.credentials = { accessKeyId: sessionKey('AROANEW', 'i-0a'), secretAccessKey: 'any' };
  expect(await userId(NEVER)).toBe(first);
  now += 11 * 60_000;
  cloud.expireCredentials(sessionKey('AROANEW', 'i-0a'));
  expect(await userId(NEVER)).toBe(first);
  now += 11 * 60_000;
  cloud.renewCredentials(sessionKey('AROANEW', 'i-0a'));
  expect(await userId(NEVER)).toBe('AROANEW:i-0a');
});

it('STS is asked again after it did not answer', async () => {
  const { cloud, aws } = await as('session-i-0a');
  cloud.expireCredentials('session-i-0a');
  const userId = createOwnUserId(aws, { instance: 'i-0a', session: undefined }, silentLog());
  await expect(userId(NEVER)).rejects.toMatchObject({ code: expect.stringMatching(/^AWS_/) });
  cloud.renewCredentials('session-i-0a');
  expect(await userId(NEVER)).toBe('AROAEMBEDDEDCLOUD:i-0a');
});

it.each([
  ['of the instance', 'session-i-0a', undefined, true],
  ['that the config names', 'session-web-1', 'web-1', true],
  ['of another instance', 'session-i-0b', undefined, false],
  ['that is not the one of the config', 'session-i-0a', 'web-1', false],
  ['of a user', 'somebody', undefined, false],
] as const)('check judges a role session %s by what publishers believe', async (_, key, session, ok) => {
  const { aws } = await as(key);
  const found = await probeUserId(aws, { instance: 'i-0a', session }, NEVER);
  expect(found.ok).toBe(ok);
  if (!ok) expect(found.hint).toContain('sessions: { i-0a: NAME }');
});
