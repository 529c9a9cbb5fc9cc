import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { cell, NOW } from '../support/console/canned-overview.ts';
import { type Chromium, startChromium } from '../support/console/chromium.ts';
import { type FakeConsole, startFakeConsole } from '../support/console/fake-console.ts';

/** The session of the page and its stream, in a real browser. */

let browser: Chromium;
let fake: FakeConsole;
/** What the server answers instead of its canned answers. */
let instead: { status: number; json: object } | undefined;
const navigations: string[] = [];

beforeAll(async () => {
  browser = await startChromium();
  browser.page.on('framenavigated', (frame) => navigations.push(frame.url()));
});
afterAll(() => browser[Symbol.asyncDispose]());
beforeEach(async () => {
  instead = undefined;
  fake = await startFakeConsole({ answer: () => instead });
  await browser.page.goto(fake.address);
  await browser.page.waitForSelector('table.services');
});
afterEach(() => fake[Symbol.asyncDispose]());

const seen = (text: string) => browser.page.getByText(text).first().waitFor();
const hide = (hidden: boolean) =>
  browser.page.evaluate(`
    Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  `);

test('the key leaves the address and the history; the session lies in localStorage, and there is no cookie', async () => {
  const { page, context } = browser;
  expect(page.url()).toBe(`${fake.url}/`);
  expect(await page.evaluate('Object.values(localStorage)')).toEqual(['s'.repeat(43)]);
  expect(await context.cookies()).toEqual([]);
});

test('what changes is shown, and what is gone goes', async () => {
  fake.say({ type: 'cells', at: NOW, cells: [cell('dev', 'brand-new', '9.9.9', 3)], gone: [] });
  await seen('brand-new');
  const gone = [{ env: 'dev', service: 'brand-new' }];
  fake.say({ type: 'cells', at: NOW, cells: [], gone });
  await browser.page.getByText('brand-new').waitFor({ state: 'detached' });
});

test('a hidden tab has no stream; shown again, it has one', async () => {
  await hide(true);
  await expect.poll(() => fake.streams()).toBe(0);
  await hide(false);
  await expect.poll(() => fake.streams()).toBe(1);
  await seen('· live');
});

test('a page that lost the console greys, says since when, and comes back by itself', async () => {
  fake.drop(true);
  await seen('Stale since');
  expect(await browser.page.locator('main.stale').count()).toBe(1);
  fake.drop(false);
  await seen('· live');
  expect(await browser.page.getByText('Stale since').count()).toBe(0);
});

test('a session that ended asks for the address that the console prints; opened in the same tab, it goes on', async () => {
  instead = { status: 401, json: { error: { code: 'NO_SESSION', message: 'no session' } } };
  fake.drop(false);
  await seen('This page has no session');
  expect(await browser.page.evaluate('localStorage.length')).toBe(0);
  instead = undefined;
  await browser.page.goto(fake.address);
  await browser.page.waitForSelector('table.services');
});

test.each([302, 401])('a login that expired (%s): one reload, and the address is kept', async (status) => {
  const { page } = browser;
  await page.evaluate('sessionStorage.clear()');
  await page.goto(`${fake.url}/?q=pay`);
  await page.waitForSelector('table.services');
  const before = navigations.length;
  instead = { status, json: { error: { code: 'NO_LOGIN', message: 'expired' } } };
  fake.drop(false);
  await seen('the login has expired');
  expect(navigations.slice(before)).toEqual([`${fake.url}/?q=pay`]);
});

test('what cannot be read now is said with its code and what to do', async () => {
  const error = { code: 'AWS_DENIED', message: 'no permission to list', hint: 'see docs/IAM.md' };
  fake.say({ type: 'trouble', at: NOW, error });
  await seen('AWS_DENIED');
  await seen('see docs/IAM.md');
});
