import { afterAll, beforeAll, expect, test } from 'vitest';
import { manyCells, NOW, overviewOf } from '../support/console/canned-overview.ts';
import { type Chromium, startChromium } from '../support/console/chromium.ts';
import { countCost } from '../support/console/cpu.ts';
import { type FakeConsole, startFakeConsole } from '../support/console/fake-console.ts';

/** What the overview of 50 services in 3 environments costs the main thread. CPU, because time depends on the machine. */

const cells = manyCells(50);
let fake: FakeConsole;
let browser: Chromium;

beforeAll(async () => {
  fake = await startFakeConsole({
    snapshot: (about) => (about.get('about') === 'overview' ? [overviewOf(cells)] : undefined),
  });
  browser = await startChromium({ viewport: { width: 1440, height: 900 } });
  await browser.page.goto(fake.address);
  await browser.page.waitForSelector('tbody tr:nth-child(50)');
});
afterAll(async () => {
  await browser[Symbol.asyncDispose]();
  await fake[Symbol.asyncDispose]();
});

test('the first paint takes 500 ms of CPU at most', async () => {
  const { page } = browser;
  await page.goto('about:blank');
  const cost = await countCost(page);
  await page.goto(fake.url);
  await page.waitForSelector('tbody tr:nth-child(50)');
  expect((await cost.since()).cpuMs).toBeLessThan(500);
});

test('a page where nothing changes lays nothing out in 10 s', async () => {
  const { page } = browser;
  await page.waitForFunction('document.readyState === "complete"');
  // What follows the load: fonts, the icon, the scroll bar.
  await page.evaluate('new Promise((done) => requestIdleCallback(() => requestIdleCallback(done)))');
  const cost = await countCost(page);
  await page.waitForTimeout(10_000);
  expect(await cost.since()).toMatchObject({ layouts: 0, styles: 0 });
});

test('messages that come faster are painted ten times a second at most', async () => {
  const { page } = browser;
  const cost = await countCost(page);
  const began = performance.now();
  for (let n = 0; n < 1_000; n += 1) {
    const cell = cells[n % cells.length];
    if (cell) fake.say({ type: 'cells', at: NOW + n, cells: [{ ...cell, good: n % 7 }], gone: [] });
    if (n % 10 === 0) await page.waitForTimeout(20);
  }
  fake.say({
    type: 'cells',
    at: NOW,
    cells: [{ ...(cells[0] ?? never()), instances: 9, good: 9 }],
    gone: [],
  });
  await page.getByText('9 of 9').waitFor();
  const paints = (performance.now() - began) / 100;
  expect((await cost.since()).layouts).toBeLessThanOrEqual(Math.ceil(paints) + 1);
});

function never(): never {
  throw new Error('no cells');
}
