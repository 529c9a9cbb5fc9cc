import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ServiceView } from '../../publisher/console/api.ts';
import { id, NOW } from '../support/console/canned-overview.ts';
import { type Chromium, startChromium } from '../support/console/chromium.ts';
import { type FakeConsole, startFakeConsole } from '../support/console/fake-console.ts';

/** What the page says when something is odd: no such deployment, a key that was used, a clock that is wrong. */

let browser: Chromium;
let fake: FakeConsole;
const NOT_FOUND = { error: { code: 'DEPLOYMENT_NOT_FOUND', message: 'there is no such deployment' } };
const USED = { error: { code: 'KEY_USED', message: 'this address was opened before' } };
/** As no console sends it. */
const ODD = { service: 'odd', at: NOW, lanes: [{ env: 'dev' }] } as unknown as ServiceView;
let isUsed = false;

beforeAll(async () => {
  fake = await startFakeConsole({
    answer(_method, { pathname, searchParams }) {
      const isGone = searchParams.get('deployment') === id(9);
      if (pathname === '/api/find' && isGone) return { status: 409, json: NOT_FOUND };
      return pathname === '/api/session' && isUsed ? { status: 403, json: USED } : undefined;
    },
    snapshot: (about) => {
      if (about.get('service') === 'odd') return [{ type: 'service', view: ODD }];
      return about.get('deployment') === id(9) ? [{ type: 'trouble', at: NOW, ...NOT_FOUND }] : undefined;
    },
  });
  browser = await startChromium({ viewport: { width: 1280, height: 900 } });
  await browser.page.goto(fake.address);
  await browser.page.waitForSelector('table.services');
});
afterAll(async () => {
  await browser?.[Symbol.asyncDispose]();
  await fake?.[Symbol.asyncDispose]();
});

/** Follows a link within the page. */
const follow = (path: string) =>
  browser.page.evaluate(
    `{ const a = document.createElement('a'); a.href = ${JSON.stringify(path)}; document.body.append(a); a.click(); a.remove(); }`,
  );

test('of a deployment that does not exist, the page does not say that the console is silent', async () => {
  const { page } = browser;
  await page.goto(`${fake.url}/d/prd/payments/${id(9)}`);
  await page.getByText('DEPLOYMENT_NOT_FOUND').waitFor();
  fake.drop(false);
  await page.getByText('DEPLOYMENT_NOT_FOUND').waitFor();
  expect(await page.locator('main').textContent()).not.toMatch(/does not answer|connection .* is lost/);
});

test('after an id that is unknown, another one is looked for', async () => {
  const { page } = browser;
  await page.goto(`${fake.url}/d/${id(9)}`);
  await page.getByText('DEPLOYMENT_NOT_FOUND').waitFor();
  await follow(`/d/${id(2)}`);
  await page.waitForURL(`**/d/prd/payments/${id(2)}`);
});

test('ages are by the clock of the console, whatever the clock of the browser says', async () => {
  const page = await browser.context.newPage();
  await page.clock.install({ time: NOW + 5 * 3_600_000 });
  await page.goto(`${fake.url}/d/prd/payments/${id(2)}`);
  await page.locator('.counts').waitFor();
  expect(await page.locator('.origin time').textContent()).not.toMatch(/ h$/);
  await page.close();
});

test('what the page cannot draw does not empty it: header and other screens stay', async () => {
  const { page } = browser;
  await page.goto(`${fake.url}/s/odd`);
  await page.getByText('this part of the page cannot be drawn').waitFor();
  await follow('/');
  await page.waitForSelector('table.services');
});

test('a key that was used is said to be used', async () => {
  const other = await startChromium();
  isUsed = true;
  await other.page.goto(fake.address);
  await other.page.getByText('this address was opened before').waitFor();
  await other[Symbol.asyncDispose]();
});
