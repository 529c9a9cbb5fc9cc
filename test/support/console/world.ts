import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { parse, stringify } from 'yaml';
import { type Fleet, type FleetOptions, type Instance, sampleService, startFleet } from '../fleet/fleet.ts';
import type { Program } from '../programs.ts';
import { type Chromium, startChromium } from './chromium.ts';

/** Two environments of one service with real agents, a real console, and Chromium. */

const OTHER = { env: 'prd', topic: 'trigger-deploy-prd', bucket: 'acme-deploys-prd' } as const;

export interface World extends AsyncDisposable {
  fleet: Fleet;
  /** Starts another console. It ends with the world. */
  startConsole(...options: string[]): Promise<RunningConsole>;
  /** A browser of a person of their own, at the page of the console. */
  open(running: RunningConsole, options?: BrowserContextOptions): Promise<Browser>;
}

export interface RunningConsole {
  program: Program;
  /** `http://127.0.0.1:PORT`. */
  origin: string;
  /** With the key, which is good for one use. */
  address: string;
}

export interface Browser extends Chromium {
  /** What the page threw, and what the browser complained about, such as a violation of the page's policy. */
  complaints: readonly string[];
}

export interface WorldOptions extends FleetOptions {
  /** How many instances each environment has. */
  instances?: { dev?: number; prd?: number };
  /** More of trigger-deploy.yaml. */
  config?: Record<string, unknown>;
}

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const fleet = await startFleet(options);
  const browsers: Browser[] = [];
  try {
    await addEnvironment(fleet, options.config ?? {});
    await addInstances(fleet, options.instances ?? {});
  } catch (error) {
    await fleet.stop();
    throw error;
  }
  return {
    fleet,
    async startConsole(...more) {
      const program = fleet.startPublisher('console', '--port', '0', '--no-open', ...more);
      const address = await program.line((line) => line.startsWith('http://'));
      return { program, address, origin: new URL(address).origin };
    },
    async open(running, more) {
      const browser = await openPage(running.address, more);
      browsers.push(browser);
      return browser;
    },
    async [Symbol.asyncDispose]() {
      await Promise.allSettled(browsers.map((browser) => browser[Symbol.asyncDispose]()));
      await fleet.stop();
    },
  };
}

/** Opens the address in a browser of its own. */
async function openPage(address: string, options?: BrowserContextOptions): Promise<Browser> {
  const chromium = await startChromium({ viewport: { width: 1440, height: 900 }, ...options });
  const complaints: string[] = [];
  const { page } = chromium;
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' && !isOfNetwork(message.text())) complaints.push(message.text());
  });
  await page.goto(address);
  // The key is good for one use: it must have been exchanged before the page goes elsewhere.
  await page
    .getByText(/as of /)
    .first()
    .waitFor({ timeout: 60_000 });
  return Object.assign(chromium, { complaints });
}

/** Chromium tells of each answer that is a failure, which the tests cause on purpose. */
const isOfNetwork = (text: string) => /Failed to load resource|net::ERR_/.test(text);

async function addEnvironment(fleet: Fleet, more: Record<string, unknown>): Promise<void> {
  const file = join(fleet.publisherDir, 'trigger-deploy.yaml');
  const config = parse(await readFile(file, 'utf8'));
  const topic = fleet.cloud.createTopic(OTHER.topic);
  fleet.cloud.createBucket(OTHER.bucket);
  config.environments[OTHER.env] = {
    ...config.environments.dev,
    topic,
    bucket: OTHER.bucket,
    requires: 'dev',
    confirm: 'person',
  };
  await writeFile(file, stringify({ ...config, ...more }));
}

async function addInstances(fleet: Fleet, { dev = 2, prd = 3 }: { dev?: number; prd?: number }) {
  const services = (instance: Instance) => ({ payments: sampleService(instance, {}, '3s') });
  const other = {
    env: OTHER.env,
    topic: fleet.topicArn.replace(/[^:]+$/, OTHER.topic),
    bucket: OTHER.bucket,
  };
  const numbers = (count: number) => Array.from({ length: count }, (_, i) => i + 1);
  await Promise.all([
    ...numbers(dev).map((n) => fleet.addInstance(`i-0dev000${n}`, services)),
    ...numbers(prd).map((n) => fleet.addInstance(`i-0prd000${n}`, services, other)),
  ]);
}

/** Follows a link within the page, by its address. */
export async function goTo(page: Page, path: string): Promise<void> {
  await page.goto(new URL(path, page.url()).href);
}
