import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

/** Debian's Chromium, without a window. */

const ARGUMENTS = [
  ...['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update'],
  ...['--disable-sync', '--disable-dev-shm-usage'],
];

export interface Chromium extends AsyncDisposable {
  page: Page;
  context: BrowserContext;
}

/** Starts a browser of its own, with its own user data. */
export async function startChromium(
  options: BrowserContextOptions = {},
  more: readonly string[] = [],
): Promise<Chromium> {
  const data = await mkdtemp(join(tmpdir(), 'chromium-'));
  const context = await chromium.launchPersistentContext(data, {
    executablePath: '/usr/bin/chromium',
    headless: true,
    args: [...ARGUMENTS, ...more],
    ...options,
  });
  const page = context.pages()[0] ?? (await context.newPage());
  return {
    page,
    context,
    async [Symbol.asyncDispose]() {
      await context.close();
      await rm(data, { recursive: true, force: true });
    },
  };
}
