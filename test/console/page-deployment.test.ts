import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DeploymentView } from '../../publisher/console/api.ts';
import { axe } from '../support/console/axe.ts';
import { HOSTILE, id, NOW } from '../support/console/canned-overview.ts';
import { deploymentView, history, past, report } from '../support/console/canned-service.ts';
import { type Chromium, startChromium } from '../support/console/chromium.ts';
import { type FakeConsole, startFakeConsole } from '../support/console/fake-console.ts';

/** The screens of a deployment and of the history in Chromium, against a stand-in for the console's server. */

let browser: Chromium;
let fake: FakeConsole;
let page: Page;
let view: DeploymentView = deploymentView();
const asked: URL[] = [];
const errors: string[] = [];

beforeAll(async () => {
  fake = await startFakeConsole({
    snapshot: (about) => (about.get('about') === 'deployment' ? [{ type: 'deployment', view }] : undefined),
    answer(_method, url) {
      asked.push(url);
      if (url.pathname === '/api/report') {
        const error = {
          code: 'CHECK_FAILED',
          message: HOSTILE.markup,
          detail: `${HOSTILE.markup}\nlast line`,
        };
        return { json: report(1, 'rolled-back', { error }) };
      }
      if (url.pathname !== '/api/history') return undefined;
      if (url.searchParams.get('before') === null) return { json: { ...history, before: id(7) } };
      return {
        json: { at: NOW, deployments: [past(8, { version: '1.0.0', status: 'succeeded' })], pauses: [] },
      };
    },
  });
  browser = await startChromium({ viewport: { width: 1280, height: 900 } });
  page = browser.page;
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (/Content Security Policy|TrustedHTML/.test(message.text())) errors.push(message.text());
  });
  await page.goto(fake.address);
  await page.locator('main').waitFor();
});

afterAll(async () => {
  await browser?.[Symbol.asyncDispose]();
  await fake?.[Symbol.asyncDispose]();
});

async function open(shown: DeploymentView): Promise<void> {
  view = shown;
  await page.goto(`${fake.url}/d/prd/payments/${id(2)}`);
  await page.locator('.counts').waitFor();
}

test('the id of a deployment is enough to find its page', async () => {
  await page.goto(`${fake.url}/d/${id(2)}`);
  await page.waitForURL(`**/d/prd/payments/${id(2)}`);
});

test('the failing instance comes first, and the end of its log is read when it is opened, as text', async () => {
  await open(deploymentView());
  asked.length = 0;
  const first = page.locator('.deployment-rows tbody tr').first();
  expect(await first.textContent()).toContain('CHECK_FAILED: GET /health answered 500 for 60 s');
  expect(asked.filter(({ pathname }) => pathname === '/api/report')).toEqual([]);
  await first.getByText('end of its log').click();
  await first.getByText('last line').waitFor();
  expect(await page.locator('main img, main script').count()).toBe(0);
});

test('of 500 instances at most 60 are live rows, and all of them are a list on request', async () => {
  await open(deploymentView(500));
  expect(await page.locator('.deployment-rows tbody tr').count()).toBeLessThanOrEqual(60);
  await page.getByRole('button', { name: 'Show all' }).click();
  await page.getByText('All 500 instances').waitFor();
  expect(await page.locator('section[aria-label="All instances"] tbody tr').count()).toBe(500);
  expect(await page.locator('.strip').getAttribute('aria-hidden')).toBe('true');
});

test('what follows is painted, and the page says when nobody drives the deployment', async () => {
  await open({ ...deploymentView(), underWay: { ...deploymentView().underWay, resumable: true } as never });
  fake.say({ type: 'events', at: NOW, events: [{ type: 'report', at: NOW, report: report(4, 'watching') }] });
  await page.locator('.counts', { hasText: '1 watching' }).waitFor();
  const underWay = { ...deploymentView().underWay, resumable: true } as never;
  fake.say({ type: 'progress', at: NOW, driver: { state: 'stale', who: 'bob' }, underWay });
  await page.getByText('nobody drives it').waitFor();
  await page.getByRole('button', { name: 'Resume…' }).waitFor();
});

test('a key of one letter opens the dialog of its button; switched off, it does not', async () => {
  await open(deploymentView());
  await page.keyboard.press('c');
  await page.locator('dialog.act[open]').waitFor();
  await page.keyboard.press('x');
  expect(page.url()).toContain('act=confirm');
  await page.keyboard.press('Escape');
  await page.locator('dialog.act[open]').waitFor({ state: 'detached' });
  await page.getByLabel('one-letter keys').uncheck();
  await page.keyboard.press('c');
  expect(page.url()).not.toContain('act=');
  await page.getByLabel('one-letter keys').check();
});

test('an ended deployment says its outcome in words, and offers to deploy again and to roll back', async () => {
  const { underWay: _, ...shown } = deploymentView();
  const record = past(2, { status: 'failed', outcome: '3 of 9 failed', rolledBackBy: id(9), tookMs: 41_000 });
  await open({ ...shown, record });
  await page.getByText('3 of 9 failed').waitFor();
  expect(await page.getByRole('link', { name: 'The rollback' }).getAttribute('href')).toContain(id(9));
  await page.getByRole('link', { name: 'Roll back…' }).click();
  await page.waitForURL(/\/s\/payments\?.*act=rollback/);
});

test('the filters of the history are its address, and older pages follow', async () => {
  await page.goto(`${fake.url}/h?env=prd&only=failed&evil=1`);
  await page.getByText('1.4.1 → 1.4.0').waitFor();
  const question = asked.findLast(({ pathname }) => pathname === '/api/history')?.search;
  expect(question).toBe('?env=prd&only=failed');
  await page.getByLabel('since').selectOption('7d');
  await page.waitForURL(/since=7d/);
  await page.getByRole('button', { name: 'Older' }).click();
  await page.getByText('1.4.1 → 1.0.0').waitFor();
  expect(await page.getByRole('button', { name: 'Older' }).count()).toBe(0);
  expect(await page.locator('.pause-row').count()).toBe(2);
});

test('both screens meet WCAG 2.2 AA, light, dark and forced colours, wide and narrow', async () => {
  const found: string[] = [];
  for (const media of [
    { colorScheme: 'light' },
    { colorScheme: 'dark' },
    { forcedColors: 'active' },
  ] as const) {
    await page.emulateMedia({ colorScheme: 'dark', forcedColors: 'none', ...media });
    // 720 is 1440 at a zoom of 200 %.
    for (const width of [1440, 720, 360]) {
      await page.setViewportSize({ width, height: 900 });
      for (const path of [`/d/prd/payments/${id(2)}`, '/h']) {
        view = deploymentView();
        await page.goto(fake.url + path);
        await page.locator('main table').waitFor();
        const where = `${path} ${width} ${JSON.stringify(media)}`;
        if (width !== 720) found.push(...(await axe(page)).map((text) => `${where}: ${text}`));
        const isWide = await page.evaluate<boolean>('document.documentElement.scrollWidth > innerWidth');
        if (isWide) found.push(`${where}: scrolls sideways`);
      }
    }
  }
  expect(found).toEqual([]);
  expect(errors).toEqual([]);
});
