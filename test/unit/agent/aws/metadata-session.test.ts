import { expect, onTestFinished, test } from 'vitest';
import { openMetadata } from '../../../../agent/aws/metadata-session.ts';
import { NEVER } from '../../../../shared/abort.ts';
import { rejection } from '../../../support/aws/fixture.ts';
import { startFakeImds } from '../../../support/cloud/fake-imds.ts';

async function opened(monotonic?: () => number) {
  const imds = await startFakeImds();
  const session = openMetadata(imds.endpoint, monotonic);
  onTestFinished(async () => {
    session.close();
    await imds.stop();
  });
  return { imds, session };
}

test('many reads need one token and one connection; a path without a text is undefined', async () => {
  const { imds, session } = await opened();
  for (let i = 0; i < 20; i += 1) expect(await session.get('spot/instance-action', NEVER)).toBeUndefined();
  imds.interrupt('terminate', Date.UTC(2026, 0, 2));
  expect(await session.get('spot/instance-action', NEVER)).toBe(
    '{"action":"terminate","time":"2026-01-02T00:00:00Z"}',
  );
  expect(imds.requests.filter((one) => one.startsWith('PUT'))).toEqual(['PUT token 200']);
  expect(imds.connections()).toBe(1);
});

test('a token that EC2 has forgotten is replaced at once; several reads at the same time replace it once', async () => {
  const { imds, session } = await opened();
  await session.get('instance-id', NEVER);
  imds.expireTokens();
  expect(
    await Promise.all(['instance-id', 'placement/region'].map((path) => session.get(path, NEVER))),
  ).toEqual(['i-0abc1234567890def', 'eu-west-1']);
  expect(imds.requests.filter((one) => one.startsWith('PUT'))).toHaveLength(2);
});

test('a token is replaced before it expires', async () => {
  let now = 0;
  const { imds, session } = await opened(() => now);
  await session.get('instance-id', NEVER);
  now = 21_600_000;
  await session.get('instance-id', NEVER);
  expect(imds.requests.filter((one) => one.endsWith('401'))).toEqual([]);
  expect(imds.requests.filter((one) => one.startsWith('PUT'))).toHaveLength(2);
});

test('beyond the hop limit no token arrives: the read ends after a second', async () => {
  const { imds, session } = await opened();
  imds.hops = 2;
  expect(await rejection(session.get('instance-id', NEVER))).toMatchObject({ code: 'TIMEOUT' });
});

test('a read ends when its signal aborts, with the reason of the signal', async () => {
  const { imds, session } = await opened();
  await session.get('instance-id', NEVER);
  imds.gets = 'hangs';
  const aborting = new AbortController();
  const reading = rejection(session.get('instance-id', aborting.signal));
  const reason = new Error('stopped');
  aborting.abort(reason);
  expect(await reading).toBe(reason);
});

test('a refusal is an error with its status, and only some may pass', async () => {
  const { imds, session } = await opened();
  for (const [status, isRetryable] of [
    [403, false],
    [429, true],
    [503, true],
  ] as const) {
    imds.gets = { status };
    expect(await rejection(session.get('instance-id', NEVER))).toMatchObject({ status, isRetryable });
  }
});
