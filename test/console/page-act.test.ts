import type { Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { RunView } from '../../publisher/console/api.ts';
import { axe } from '../support/console/axe.ts';
import { config as cannedConfig, id } from '../support/console/canned-overview.ts';
import { serviceView } from '../support/console/canned-service.ts';
import { type Chromium, startChromium } from '../support/console/chromium.ts';
import { type FakeConsole, startFakeConsole } from '../support/console/fake-console.ts';

/** The dialogs of the actions in Chromium, against a stand-in for the console's server. */

interface Sent {
  argv: readonly string[];
  run: string;
}
let browser: Chromium;
let fake: FakeConsole;
let page: Page;
let answer: (sent: Sent) => { status?: number; json: object };
let sent: Sent[] = [];
let left: unknown[] = [];
const errors: string[] = [];

const runOf = (more: Partial<RunView>): RunView => ({
  ...{ run: sent.at(-1)?.run ?? '', argv: [], line: '', verb: 'deploy', by: 'ann', startedAt: 0 },
  ...{ state: 'running', notes: [] },
  ...more,
});

beforeAll(async () => {
  fake = await startFakeConsole({
    answer(method, url, body) {
      if (method === 'POST' && url.pathname === '/api/leave') {
        left.push(body);
        return { json: { run: runOf({ state: 'ended' }) } };
      }
      if (method !== 'POST' || url.pathname !== '/api/run') return undefined;
      sent.push(body as Sent);
      return answer(body as Sent);
    },
  });
  browser = await startChromium({ viewport: { width: 1280, height: 900 } });
  page = browser.page;
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (/Content Security Policy/.test(message.text())) errors.push(message.text());
  });
  await page.goto(fake.address);
  await page.locator('main').waitFor();
});

beforeEach(() => {
  sent = [];
  left = [];
  errors.length = 0;
  answer = () => ({ status: 202, json: { run: runOf({ deployment: id(2) }) } });
});

afterAll(async () => {
  await browser?.[Symbol.asyncDispose]();
  await fake?.[Symbol.asyncDispose]();
});

const dialog = () => page.locator('dialog[open]');
const submit = () => dialog().locator('button[type=submit]');
const command = () => dialog().locator('.command code');

async function open(query: string, path = '/s/payments'): Promise<void> {
  await page.goto(`${fake.url}${path}?${query}`);
  await dialog().waitFor();
  await page.locator('.as-of', { hasText: 'live' }).waitFor();
}

test('a link fills in the dialog, says what the button types, and runs nothing by itself', async () => {
  await open('act=deploy&env=stg&service=payments&version=1.4.3&reason=fixes refunds&canary=1');
  expect(await command().textContent()).toBe(
    "trigger-deploy payments 1.4.3 --env=stg --canary=1 --if-sequence=41 --reason='fixes refunds'",
  );
  // Enter must not press the button of a link that nobody has read.
  await page.keyboard.press('Enter');
  expect(sent).toEqual([]);
  await submit().click();
  await page.waitForURL(`**/d/stg/payments/${id(2)}`);
  expect(sent.map(({ argv }) => argv)).toEqual([
    ['payments', '1.4.3', '--env=stg', '--canary=1', '--if-sequence=41', '--reason=fixes refunds'],
  ]);
  expect(errors).toEqual([]);
});

test('the dialog of a button is filled in and pressed by keyboard alone, and a double press is one run', async () => {
  const pressed = Promise.withResolvers<void>();
  await page.goto(`${fake.url}/s/payments`);
  await page.getByRole('button', { name: 'Roll back to 1.4.1…' }).focus();
  await page.keyboard.press('Enter');
  await dialog().waitFor();
  expect(await submit().evaluate((one) => one.matches(':focus'))).toBe(true);
  answer = () => {
    pressed.resolve();
    return { status: 202, json: { run: runOf({ state: 'queued', place: { place: 2, of: 3 } }) } };
  };
  await page.keyboard.press('Enter');
  await page.keyboard.press('Enter');
  await pressed.promise;
  await dialog().getByText('place 2 of 3').waitFor();
  expect(sent).toHaveLength(1);
  expect(sent[0]?.argv).toEqual(['rollback', 'payments', '--env=stg', '--to=1.4.1', '--if-sequence=41']);
  // What the queue comes to is told by the live stream.
  fake.say({ type: 'runs', runs: [runOf({ deployment: id(6) })] });
  await page.waitForURL(`**/d/stg/payments/${id(6)}`);
});

test('Escape closes the dialog, and the focus is back on its button', async () => {
  await page.goto(`${fake.url}/s/payments`);
  const button = page.getByRole('button', { name: 'Restart…' }).first();
  await button.focus();
  await page.keyboard.press('Enter');
  await dialog().waitFor();
  await page.keyboard.press('Escape');
  await dialog().waitFor({ state: 'detached' });
  expect(await button.evaluate((one) => one.matches(':focus'))).toBe(true);
  expect(sent).toEqual([]);
});

test('what a person types is in the address, and Enter in the reason is a new line', async () => {
  await open('act=pause&env=prd', '/');
  expect(await submit().isDisabled()).toBe(true);
  await dialog().locator('textarea').focus();
  await page.keyboard.type('quarter end');
  await page.keyboard.press('Enter');
  await page.waitForURL(/reason=quarter/);
  expect(sent).toEqual([]);
  expect(await command().textContent()).toBe("trigger-deploy pause --env=prd --reason='quarter end'");
});

test('the world moves while the dialog is open: it says so, and its button waits until the person looks again', async () => {
  await open('act=deploy&env=stg&service=payments&version=1.4.3');
  await submit().and(page.locator(':enabled')).waitFor();
  const lanes = serviceView.lanes.map((lane) =>
    lane.env !== 'stg' || lane.desired === undefined
      ? lane
      : { ...lane, desired: { ...lane.desired, version: '1.5.0', sequence: 42, by: 'bob' } },
  );
  fake.say({ type: 'service', view: { ...serviceView, lanes } });
  await dialog().getByText('the desired version is 1.5.0 now, not 1.4.2 (bob)').waitFor();
  expect(await submit().isDisabled()).toBe(true);
  await dialog().getByRole('button', { name: 'Look again' }).click();
  expect(await command().textContent()).toContain('--if-sequence=42');
  expect(await submit().isDisabled()).toBe(false);
});

test('an obstacle prevents the press, and joining the queue is one press away', async () => {
  await open('act=deploy&env=prd&service=payments&version=1.4.3');
  await dialog().getByText('bob@acme.com changes it').waitFor();
  expect(await submit().isDisabled()).toBe(true);
  await dialog().getByRole('button', { name: 'Join the queue' }).click();
  expect(await command().textContent()).toContain('--queue');
  expect(await submit().isDisabled()).toBe(false);
});

test('what waits in the line leaves it from the dialog, and from the lane of the service', async () => {
  const by = cannedConfig.person.name;
  const waiting = {
    state: 'queued',
    place: { place: 2, of: 3 },
    env: 'stg',
    service: 'payments',
    by,
  } as const;
  answer = () => ({ status: 202, json: { run: runOf(waiting) } });
  await open('act=restart&env=stg&service=payments');
  await submit().click();
  await dialog().getByRole('button', { name: 'Leave the line' }).click();
  await expect.poll(() => left).toEqual([{ run: sent[0]?.run, by }]);
  const message = 'ann took it out of the line; nothing was announced';
  const error = { code: 'CANCELLED', message };
  fake.say({ type: 'runs', runs: [runOf({ ...waiting, state: 'ended', error })] });
  await dialog().getByText(message).waitFor();
  await page.keyboard.press('Escape');
  fake.say({
    type: 'runs',
    runs: [runOf({ ...waiting, run: 'fromlane1', line: 'trigger-deploy payments 1.4.3' })],
  });
  await page.locator('[data-env=stg]').getByRole('button', { name: 'Leave the line' }).click();
  await expect.poll(() => left.at(-1)).toEqual({ run: 'fromlane1', by });
});

test('a refusal says its code, message and hint, and offers the command of the hint; another try is another run', async () => {
  answer = ({ argv }) =>
    argv[0] === 'unpause'
      ? { json: { lines: ['prd is unpaused'], exitCode: 0 } }
      : {
          status: 409,
          json: {
            error: {
              ...{ code: 'CHANGED', message: 'bob deployed 1.5.0 meanwhile', hint: 'look again' },
              command: ['unpause', '--env', 'prd'],
            },
          },
        };
  await open('act=restart&env=stg&service=payments');
  await submit().click();
  await dialog().getByText('bob deployed 1.5.0 meanwhile').waitFor();
  await dialog().getByRole('button', { name: 'Run trigger-deploy unpause --env prd' }).click();
  await dialog().getByText('prd is unpaused').waitFor();
  await dialog().getByRole('button', { name: 'Look again' }).click();
  await dialog().getByText('CHANGED').waitFor({ state: 'detached' });
  await submit().click();
  await dialog().getByText('CHANGED').waitFor();
  expect(new Set(sent.map(({ run }) => run)).size).toBe(3);
});

test('the plan is asked for by a press, not by opening the dialog', async () => {
  answer = () => ({
    json: {
      things: [{ type: 'plan', waves: [{ instances: [1] }, { instances: [1, 2, 3] }] }],
      lines: ['payments 1.4.3 wave 1 of 2, canary, 1 instance: i-1'],
    },
  });
  await open('act=deploy&env=stg&service=payments&version=1.4.3&canary=1');
  expect(sent).toEqual([]);
  await dialog().getByRole('button', { name: 'Show the plan' }).click();
  await dialog().getByText('waves of 1 · 3 instances').waitFor();
  expect(sent.map(({ argv }) => argv)).toEqual([['plan', 'payments', '1.4.3', '--env=stg', '--canary=1']]);
});

test('a hostile link is text, and its dialog types no option of its own', async () => {
  const reason = `<img src=x onerror="document.title='taken'"> \u202E --jump ${'x'.repeat(2000)}`;
  const query = new URLSearchParams({ act: 'pause', env: 'prd', service: 'payments', reason });
  await open(`${query}&with-jump=1&despite-pause=1&canary=--jump`);
  expect(await command().textContent()).toContain('⟨U+202E⟩');
  expect(await page.locator('dialog img').count()).toBe(0);
  answer = () => ({ json: { lines: [], exitCode: 0 } });
  await submit().click();
  await dialog().waitFor({ state: 'detached' });
  expect(sent[0]?.argv.slice(0, 3)).toEqual(['pause', 'payments', '--env=prd']);
  expect(sent[0]?.argv).toHaveLength(4);
  for (const wrong of ['env=prd&service=--jump', 'env=--env&service=a', 'env=prd']) {
    await page.goto(`${fake.url}/s/payments?act=deploy&${wrong}`);
    await dialog().getByText('This address cannot be read').waitFor();
    expect(await submit().count()).toBe(0);
  }
  expect(await page.title()).not.toContain('taken');
  expect(errors).toEqual([]);
});

test('each dialog meets WCAG 2.2 AA, light, dark and forced colours, wide and narrow, and does not scroll sideways', async () => {
  const place = 'env=stg&service=payments';
  const dialogs = [
    ...['deploy', 'queue', 'jump', 'promote', 'rollback', 'restart', 'pause', 'unpause'].map(
      (act) => `act=${act}&${place}&version=1.4.3`,
    ),
    ...['confirm', 'cancel', 'resume'].map(
      (act) => `act=${act}&env=prd&service=payments&deployment=${id(2)}`,
    ),
    `act=deploy&${place}&with-skip-checks=1`,
    'act=deploy',
  ];
  const found: string[] = [];
  const looks = [
    { colorScheme: 'light', forcedColors: 'none', reducedMotion: 'reduce' },
    { colorScheme: 'dark', forcedColors: 'none', reducedMotion: 'reduce' },
    { colorScheme: 'dark', forcedColors: 'active', reducedMotion: 'reduce' },
  ] as const;
  for (const query of dialogs) {
    await page.goto(`${fake.url}/s/payments?${query}`);
    await dialog().waitFor();
    // 720 is 1440 at a zoom of 200 %.
    for (const width of [1440, 720, 360]) {
      await page.setViewportSize({ width, height: 900 });
      const isWide = await page.evaluate<boolean>(
        '[document.documentElement, document.querySelector("dialog[open]")].some((one) => one.scrollWidth > one.clientWidth)',
      );
      if (isWide) found.push(`${query} ${width}: scrolls sideways`);
      if (width === 720) continue;
      for (const look of looks) {
        await page.emulateMedia(look);
        const where = `${query} ${width} ${JSON.stringify(look)}`;
        found.push(...(await axe(page, 'dialog[open]')).map((text) => `${where}: ${text}`));
      }
    }
  }
  await page.emulateMedia({ colorScheme: 'light', forcedColors: 'none' });
  await page.setViewportSize({ width: 1280, height: 900 });
  expect(found).toEqual([]);
});
