import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LiveMessage } from '../../../publisher/console/api.ts';
import { id, NOW } from './canned-overview.ts';
import { startChromium } from './chromium.ts';
import { startFakeConsole } from './fake-console.ts';
import { picturedFailed, picturedHistory, picturedService, picturedUnderWay } from './pictured.ts';
import { smallPng } from './small-png.ts';

/** `npm run pictures [NAME…]`: makes docs/pictures/ of the page with canned data, at a time that stands still. */

const DIRECTORY = join(import.meta.dirname, '..', '..', '..', 'docs', 'pictures');
const FAILED = id(6);
const SCREENS = [
  ['overview', '/', 'table.services'],
  ['service', '/s/payments', '.lanes'],
  ['deployment', `/d/prd/payments/${id(2)}`, '.counts'],
  ['failed', `/d/prd/payments/${FAILED}`, '.counts'],
  ['history', '/h', 'main table'],
  [
    'dialog',
    '/s/payments?act=deploy&env=stg&service=payments&version=1.4.3&reason=rounds+refunds+right',
    'dialog[open]',
  ],
] as const;
const WIDTHS = [
  [1440, 900],
  [360, 780],
] as const;

const only = process.argv.slice(2);
await using fake = await startFakeConsole({ snapshot, answer: answerOf });
await using browser = await startChromium({ timezoneId: 'UTC', locale: 'en-GB', reducedMotion: 'reduce' });
const { page } = browser;
await page.clock.setFixedTime(NOW);
await page.goto(fake.address);
await page.locator('main').waitFor();
for (const [width, height] of WIDTHS) {
  await page.setViewportSize({ width, height });
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    for (const [name, path, ready] of SCREENS) {
      const file = `${name}-${width}-${colorScheme}.png`;
      if (only.length > 0 && !only.some((one) => file.startsWith(one))) continue;
      await page.goto(fake.url + path);
      await page.locator(ready).first().waitFor();
      if (name !== 'history') await page.locator('.as-of', { hasText: 'live' }).waitFor();
      await writeFile(
        join(DIRECTORY, file),
        smallPng(await page.screenshot({ animations: 'disabled', caret: 'hide' })),
      );
    }
  }
}

function snapshot(about: URLSearchParams): readonly LiveMessage[] | undefined {
  const runs: LiveMessage = { type: 'runs', runs: [] };
  if (about.get('about') === 'service') return [runs, { type: 'service', view: picturedService }];
  if (about.get('about') !== 'deployment') return undefined;
  const view = about.get('deployment') === FAILED ? picturedFailed : picturedUnderWay;
  return [runs, { type: 'deployment', view }];
}

function answerOf(_method: string, { pathname }: URL): { json: object } | undefined {
  return pathname === '/api/history' ? { json: picturedHistory } : undefined;
}
