import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { axe } from '../support/console/axe.ts';
import { cells, hostileCells, manyCells, overviewOf } from '../support/console/canned-overview.ts';
import { type Chromium, startChromium } from '../support/console/chromium.ts';
import { type FakeConsole, startFakeConsole } from '../support/console/fake-console.ts';

/** How the overview and the page of a service look and are reached, in a real browser. */

let shown = cells;
let fake: FakeConsole;
let browser: Chromium;
let page: Page;
const refused: string[] = [];

beforeAll(async () => {
  fake = await startFakeConsole({
    snapshot: (about) => (about.get('about') === 'overview' ? [overviewOf(shown)] : undefined),
  });
  browser = await startChromium();
  page = browser.page;
  page.on('console', (message) => {
    if (/Content Security Policy|TrustedHTML|Refused/.test(message.text())) refused.push(message.text());
  });
  page.on('pageerror', ({ message }) => refused.push(message));
  await page.goto(fake.address);
  await page.waitForSelector('table.services');
});
afterAll(async () => {
  await browser[Symbol.asyncDispose]();
  await fake[Symbol.asyncDispose]();
});

const SCREENS = [
  ['/', 'table.services'],
  ['/?attention=1', 'table.services'],
  ['/s/payments', '.lanes'],
  ['/?at=2026-11-28T14:02', 'table.services'],
] as const;
const LOOKS = [
  ['light', { colorScheme: 'light', forcedColors: 'none' }],
  ['dark', { colorScheme: 'dark', forcedColors: 'none' }],
  ['forced colors', { colorScheme: 'dark', forcedColors: 'active' }],
] as const;
/** 720 is 1440 at a zoom of 200 %. */
const WIDTHS = [1440, 720, 360];

const open = async (path: string, ready: string) => {
  await page.goto(fake.url + path);
  await page.waitForSelector(ready);
};
const sideways = () => page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');

test.each(LOOKS)('%s: axe finds nothing on any screen, and nothing scrolls sideways', async (_, media) => {
  await page.emulateMedia(media);
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 900 });
    for (const [path, ready] of SCREENS) {
      await open(path, ready);
      for (const one of await page.locator('details > summary').all()) await one.click();
      expect(await axe(page), `${path} at ${width}`).toEqual([]);
      expect(await sideways(), `${path} at ${width}`).toBeLessThanOrEqual(0);
    }
  }
});

test('50 services fit a screen of 1080 lines', async () => {
  shown = manyCells(50);
  await page.setViewportSize({ width: 1920, height: 1080 });
  await open('/', 'table.services');
  const bottom = await page.locator('table.services tbody tr').last().boundingBox();
  expect((bottom?.y ?? 0) + (bottom?.height ?? 0)).toBeLessThanOrEqual(1080);
  shown = cells;
});

test('hostile texts stay texts: no markup, no link, no script, no sideways scrolling', async () => {
  shown = hostileCells;
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 900 });
    await open('/', 'table.services');
    expect(await page.locator('main img, main script').count()).toBe(0);
    const links = await page
      .locator('main a')
      .evaluateAll((all) => all.map((one) => (one as unknown as { href: string }).href));
    expect(links.filter((one) => !one.startsWith(`${fake.url}/`))).toEqual([]);
    expect(await page.locator('main').textContent()).toContain('⟨U+202E⟩');
    expect(await sideways()).toBeLessThanOrEqual(0);
  }
  expect(await page.title()).toBe('trigger-deploy');
  shown = cells;
});

test('what waits for the person is above all others, on a small screen too', async () => {
  await page.setViewportSize({ width: 360, height: 780 });
  await open('/', '.waits');
  const [waits, pause, table] = await Promise.all(
    ['.waits', 'button.red', 'tbody'].map((one) => page.locator(one).first().boundingBox()),
  );
  expect(waits?.y).toBeLessThan(pause?.y ?? 0);
  expect(pause?.y).toBeLessThan(table?.y ?? 0);
});

test('a service is found and opened by keyboard alone, and the focus is seen', async () => {
  await page.setViewportSize({ width: 1440, height: 900 });
  await open('/', 'table.services');
  await page.keyboard.press('/');
  await page.keyboard.type('pay');
  await page.waitForFunction('document.querySelectorAll("tbody tr").length === 1');
  expect(page.url()).toBe(`${fake.url}/?q=pay`);
  await page.keyboard.press('Escape');
  await page.keyboard.press('j');
  const outline = await page.evaluate<string>('getComputedStyle(document.activeElement).outlineStyle');
  expect(outline).toBe('solid');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.lanes');
  expect(page.url()).toBe(`${fake.url}/s/payments`);
});

test('a button that is not possible is reached by keyboard, says why, and opens nothing', async () => {
  await open('/s/payments', '.lanes');
  const button = page.locator('[data-env=prd] button', { hasText: 'Deploy…' });
  await button.focus();
  expect(await button.getAttribute('aria-disabled')).toBe('true');
  const why = await button.getAttribute('aria-describedby');
  expect(await page.locator(`#${why}`).textContent()).toContain('bob@acme.com changes it');
  await page.keyboard.press('Enter');
  expect(page.url()).toBe(`${fake.url}/s/payments`);
});

test('a button opens its dialog by the address', async () => {
  await open('/s/payments', '.lanes');
  await page.locator('[data-env=stg] button', { hasText: 'Promote 1.4.3 from dev…' }).click();
  expect(new URL(page.url()).search).toBe('?act=promote&env=stg&service=payments&version=1.4.3');
});

test('the policy of the page refused nothing, and nothing was thrown', () => {
  expect(refused).toEqual([]);
});
