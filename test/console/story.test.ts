import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Browser, goTo, type RunningConsole, startWorld, type World } from '../support/console/world.ts';

/** The work of a day with the page, in Chromium, against real agents. Each test depends on those before it. */

let world: World;
let running: RunningConsole;
let browser: Browser;

beforeAll(async () => {
  world = await startWorld();
  running = await world.startConsole();
  browser = await world.open(running);
});
afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
});

const page = () => browser.page;
const cli = (...argv: string[]) => world.fleet.publisher(...argv);
const dialog = () => page().getByRole('dialog');
const shows = (text: string | RegExp) => page().getByText(text).first().waitFor({ timeout: 60_000 });
/** Waits until the deployment of the page has succeeded. */
const ended = (one = page()) => one.locator('.standing').getByText('succeeded').waitFor({ timeout: 60_000 });
/** The deployment that the page is about, once the dialog has led there. */
async function deploymentOf(env: string): Promise<string> {
  await page().waitForURL(new RegExp(`/d/${env}/payments/[0-9A-Z]{26}$`), { timeout: 60_000 });
  return new URL(page().url()).pathname.slice(-26);
}
/** Waits until the press is answered: to leave the page before that ends its request. */
const answered = () => dialog().waitFor({ state: 'detached' });
/** Opens a dialog by its address, and presses its button. */
async function press(query: string, name: RegExp): Promise<void> {
  await goTo(page(), `/s/payments?service=payments&${query}`);
  await dialog().getByRole('button', { name }).click();
}
async function push(version: string, behaviour = {}): Promise<void> {
  const file = await world.fleet.pack(version, behaviour);
  const { code, stderr } = await cli('push', 'payments', version, file, '--env', 'dev');
  expect(code, stderr).toBe(0);
}
const runsOn = async (env: string) => {
  const { stdout } = await cli('status', 'payments', '--env', env, '--output', 'json');
  const { instances } = JSON.parse(stdout);
  return [...new Set(instances.map(({ version }: { version: string }) => version))];
};

test('a version that is pushed by the command line appears on the page of its service', async () => {
  await push('1.0.0');
  await goTo(page(), '/s/payments');
  await page().getByRole('rowheader', { name: '1.0.0' }).first().waitFor();
});

test('the dialog shows the command that its button types, and leads to the deployment, which ends', async () => {
  await goTo(page(), '/s/payments?act=deploy&env=dev&service=payments&version=1.0.0');
  await dialog().getByText('trigger-deploy payments 1.0.0 --env=dev --if-sequence=0').waitFor();
  await dialog()
    .getByRole('button', { name: /^Deploy 1\.0\.0 to 2 instances/ })
    .click();
  const id = await deploymentOf('dev');
  await ended();
  const { stdout } = await cli('show', id, '--env', 'dev', '--output', 'json');
  expect(JSON.parse(stdout)).toMatchObject({
    status: 'succeeded',
    from: { argv: ['payments', '1.0.0', '--env=dev', '--if-sequence=0'] },
  });
  expect(await runsOn('dev')).toEqual(['1.0.0']);
});

test('a promotion waits after its canary, first on the overview, and goes on when a person confirms', async () => {
  await press('act=promote&env=prd&from=dev&canary=1', /^Promote/);
  const id = await deploymentOf('prd');
  await shows(/waits for confirmation/);
  await goTo(page(), '/');
  await page()
    .getByRole('link', { name: /payments 1\.0\.0 in prd/ })
    .waitFor();
  await page()
    .getByRole('button', { name: /^Confirm/ })
    .first()
    .click();
  await dialog()
    .getByLabel(/reason/)
    .fill('the canary is well');
  await dialog()
    .getByRole('button', { name: /^Confirm/ })
    .click();
  await answered();
  await goTo(page(), `/d/prd/payments/${id}`);
  await shows(/3 succeeded/);
  expect(await runsOn('prd')).toEqual(['1.0.0']);
});

test('a bad version rolls back, and the end of the log of the service can be read', async () => {
  await push('1.1.0', { healthStatus: 500 });
  await press('act=deploy&env=dev&version=1.1.0', /^Deploy 1\.1\.0/);
  await deploymentOf('dev');
  await shows(/2 rolled back/);
  await page().getByText('end of its log').first().click();
  await page().locator('details[open] pre').first().waitFor();
  expect(await runsOn('dev')).toEqual(['1.0.0']);
});

test('a rollback is as easy', async () => {
  await push('1.2.0');
  await press('act=deploy&env=dev&version=1.2.0', /^Deploy 1\.2\.0/);
  await deploymentOf('dev');
  await ended();
  await press('act=rollback&env=dev', /^Roll back/);
  await deploymentOf('dev');
  await ended();
  expect(await runsOn('dev')).toEqual(['1.0.0']);
});

test('a pause of the page refuses the command line, and a pause of the command line refuses the page', async () => {
  await press('act=pause&env=dev&reason=incident+4711', /^Pause/);
  await answered();
  const refused = await cli('payments', '1.2.0', '--env', 'dev');
  expect(refused).toMatchObject({ code: 4, stderr: expect.stringContaining('incident 4711') });
  await press('act=unpause&env=dev', /^Unpause/);
  await answered();
  expect((await cli('pause', 'payments', '--env', 'dev', '--reason', 'quarter end')).code).toBe(0);
  await goTo(page(), '/s/payments?act=deploy&env=dev&service=payments&version=1.2.0');
  await dialog()
    .getByText(/quarter end/)
    .first()
    .waitFor();
  expect(
    await dialog()
      .getByRole('button', { name: /^Deploy 1\.2\.0/ })
      .isDisabled(),
  ).toBe(true);
  expect((await cli('unpause', 'payments', '--env', 'dev')).code).toBe(0);
});

test('a restart ends, with the version that ran', async () => {
  await press('act=restart&env=dev', /^Restart/);
  await deploymentOf('dev');
  await ended();
  expect(await runsOn('dev')).toEqual(['1.0.0']);
});

test('the page waits in line behind the command line, and runs when it is its turn', async () => {
  const first = world.fleet.startPublisher(
    ...['payments', '1.2.0', '--env', 'dev', '--canary', '1', '--confirm', '--output', 'json'],
  );
  const waiting = JSON.parse(await first.line((line) => line.includes('"waiting"')));
  await press('act=queue&env=dev&version=1.0.0', /^Queue 1\.0\.0/);
  await dialog()
    .getByText(/place 1 of 1/)
    .waitFor({ timeout: 30_000 });
  expect((await cli('confirm', waiting.deployment, '--env', 'dev')).code).toBe(0);
  expect((await first.finished).code).toBe(0);
  await deploymentOf('dev');
  await ended();
  expect(await runsOn('dev')).toEqual(['1.0.0']);
});

test('eight tabs of one browser all load, over HTTP/1.1: those that nobody sees hold no connection', async () => {
  const tabs = await Promise.all(Array.from({ length: 8 }, () => browser.context.newPage()));
  for (const tab of tabs) {
    await tab.goto(`${running.origin}/s/payments`);
    await tab.getByRole('rowheader', { name: '1.2.0' }).waitFor();
    // Without a window each tab counts as seen.
    await tab.evaluate(`
      Object.defineProperty(document, 'hidden', { value: true });
      document.dispatchEvent(new Event('visibilitychange'));
    `);
  }
  await Promise.all(tabs.map((tab) => tab.close()));
});

test('in all of this the browser found no violation of the policy of the page, and no error', () => {
  expect(browser.complaints).toEqual([]);
});
