import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Notified, notifiedOn, paused, unpaused } from '../../../support/publisher/notified.ts';
import { openStage, type Stage } from '../../../support/publisher/stage.ts';
import { type Answer, startWebhook, type Webhook } from '../../../support/publisher/webhook.ts';

let stage: Stage;
let webhook: Webhook;
let withNotifier: Notified['withNotifier'];
let notified: Notified['notified'];
beforeAll(async () => {
  stage = await openStage();
  ({ withNotifier, notified } = notifiedOn(stage));
  await stage.publish('payments', '1.0.0');
});
afterAll(() => stage.close());
afterEach(() => webhook.close());

const openWebhook = async (answer?: Answer) => {
  webhook = await startWebhook(answer);
  return { webhook: { address: webhook.address } };
};

describe('a webhook that', () => {
  const cases: [string, Answer, RegExp, { requests: number }][] = [
    ['answers 500', (_in, out) => void out.writeHead(500).end(), /: http 500;/, { requests: 2 }],
    ['answers 404', (_in, out) => void out.writeHead(404).end(), /: http 404;/, { requests: 1 }],
    [
      'asks for a retry in a minute',
      (_in, out) => void out.writeHead(429, { 'retry-after': '60' }).end(),
      /: http 429; no time left to retry;/,
      { requests: 1 },
    ],
    [
      'redirects',
      (_in, out) => void out.writeHead(307, { location: '/elsewhere' }).end(),
      /: http 307;/,
      { requests: 1 },
    ],
    [
      'closes the connection',
      (incoming) => void incoming.socket.destroy(),
      /: (UND_ERR_SOCKET|ECONNRESET);/,
      { requests: 2 },
    ],
  ];
  it.each(cases)('%s is one warning, without its address', async (_title, answer, trouble, { requests }) => {
    const notify = await openWebhook(answer);
    const { session, notifier } = await withNotifier(notify);
    await paused(session);
    await unpaused(session);
    const unsent = await notifier.close();
    expect(unsent).toMatch(/^the "paused" notification was not sent to the webhook of dev/);
    expect(unsent).toMatch(trouble);
    expect(unsent).not.toContain(webhook.secret);
    expect(unsent).not.toContain('127.0.0.1');
    expect(webhook.requests()).toBe(2 * requests);
  });

  it.each([
    ['asks for a retry in a second', { 'retry-after': '1' }, 1000],
    ['has no Retry-After', {}, 300],
  ])('%s is asked once more, not earlier', async (_title, headers, pauseMs) => {
    const asked: number[] = [];
    const notify = await openWebhook((_in, out, nth) => {
      asked.push(performance.now());
      out.writeHead(nth === 1 ? 429 : 200, headers).end();
    });
    expect((await notified(notify, paused)).unsent).toBeUndefined();
    const [first = 0, second = 0, ...more] = asked;
    // A timer may be a millisecond early.
    expect(second - first).toBeGreaterThan(pauseMs - 10);
    expect(more).toEqual([]);
    await notified(notify, unpaused);
  });

  it('never answers delays a command by a few seconds at its end, and not before', async () => {
    const notify = await openWebhook(() => undefined);
    const { session, notifier } = await withNotifier(notify);
    const took = async (work: () => Promise<unknown>) => {
      const began = performance.now();
      await work();
      return performance.now() - began;
    };
    // Each message is given 3 s: to wait for them all would take 24 s, now or at the end.
    const working = await took(async () => {
      for (let i = 0; i < 4; i += 1) {
        await paused(session);
        await unpaused(session);
      }
    });
    expect(working).toBeLessThan(15_000);
    let unsent: string | undefined;
    const flush = await took(async () => {
      unsent = await notifier.close();
    });
    expect(unsent).toMatch(/timed out|in time/);
    expect(flush).toBeLessThan(15_000);
  }, 60_000);

  it('refuses connections is one warning', async () => {
    const notify = await openWebhook();
    await webhook.close();
    const { unsent } = await notified(notify, async (session) => {
      await paused(session);
      await unpaused(session);
    });
    expect(unsent).toMatch(/: ECONNREFUSED; the deployment is not affected$/);
  });
});

describe('the address of the webhook', () => {
  it('may be in a file, or in a variable', async () => {
    await openWebhook();
    const file = join(tmpdir(), `webhook-${process.pid}`);
    await writeFile(file, `${webhook.address}\n`);
    expect(await notified({ webhook: { file } }, paused)).toMatchObject({ unsent: undefined });
    const HOOK = webhook.address;
    expect(await notified({ webhook: { variable: 'HOOK' } }, unpaused, { HOOK })).toMatchObject({
      unsent: undefined,
    });
    expect(webhook.texts).toHaveLength(2);
  });

  it.each([
    [{ file: '/nowhere/hook' }, {}, '/nowhere/hook cannot be read (ENOENT)'],
    [{ variable: 'HOOK' }, {}, 'the variable HOOK is not set'],
    [
      { variable: 'HOOK' },
      { HOOK: 'http://hooks.example.com/S3CRET' },
      'the variable HOOK does not hold an https address',
    ],
    [
      { variable: 'HOOK' },
      { HOOK: 'https://u:S3CRET@hooks.example.com/' },
      'the variable HOOK does not hold an https address',
    ],
  ])('%j that has no valid address is one warning, without the address', async (place, variables, words) => {
    await openWebhook();
    const { unsent } = await notified(
      { webhook: place },
      async (session) => {
        await paused(session);
        await unpaused(session);
      },
      variables,
    );
    expect(unsent).toContain(words);
    expect(unsent).not.toContain('S3CRET');
  });
});
