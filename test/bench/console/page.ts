import { setTimeout } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import type { PublisherEvent } from '../../../publisher/events.ts';
import type { Report } from '../../../shared/report.ts';
import { PROGRESS_STATES } from '../../../shared/states.ts';
import { buildPage } from '../../../systemd/page-bundle.ts';
import { id, manyCells, overviewOf } from '../../support/console/canned-overview.ts';
import { deploymentView, report } from '../../support/console/canned-service.ts';
import { startChromium } from '../../support/console/chromium.ts';
import { countCost } from '../../support/console/cpu.ts';
import { type FakeConsole, startFakeConsole } from '../../support/console/fake-console.ts';
import { median } from '../median.ts';

/** What the page of the console costs the main thread of Chromium. */

export interface Paint {
  /** CPU of the main thread until all of it is painted, and the time, ms; the median of `ROUNDS`. */
  cpuMs: number;
  wallMs: number;
}

export interface Storm {
  instances: number;
  /** What was sent, a second. */
  events: number;
  /** CPU of the main thread, ms a second. */
  cpuMs: number;
  framesPerSecond: number;
  /** ms */
  frameP95: number;
  /** From when the server writes an event until a frame has it, ms. */
  paintedP50: number;
  paintedP95: number;
  /** The longest task of the main thread, by the clock, ms; below 50 there is none. */
  longestTask: number;
}

export interface PageFigures {
  overview: Paint;
  deployment: Paint;
  storms: Storm[];
  /** Of a page where nothing changes, in `IDLE_MS`. */
  idleLayouts: number;
  /** Compressed, KB of 1000 bytes. */
  scriptKb: number;
  stylesKb: number;
}

const ROUNDS = 5;
const IDLE_MS = 10_000;
const STORM_MS = 10_000;
/** The server sends this often, ms. */
const EVERY_MS = 25;
const STATES = PROGRESS_STATES.filter((state) => state !== 'accepted');
const DEPLOYMENT = `/d/prd/payments/${id(2)}`;

export async function measurePage(say: (line: string) => void): Promise<PageFigures> {
  const shown = { instances: 500 };
  await using fake = await startFakeConsole({
    snapshot(about) {
      if (about.get('about') === 'overview') return [overviewOf(manyCells(50))];
      const view = deploymentView(shown.instances);
      return about.get('about') === 'deployment' ? [{ type: 'deployment', view }] : undefined;
    },
  });
  await using browser = await startChromium({ viewport: { width: 1440, height: 900 } });
  const { page } = browser;
  await page.goto(fake.address);
  await page.waitForSelector('tbody tr:nth-child(50)');
  const overview = await firstPaint(page, fake.url, 'tbody tr:nth-child(50)');
  say(`overview ${JSON.stringify(overview)}`);
  const cost = await countCost(page);
  await setTimeout(IDLE_MS);
  const idleLayouts = (await cost.since()).layouts;
  const deployment = await firstPaint(page, fake.url + DEPLOYMENT, '.deployment-rows tbody tr');
  say(`deployment ${JSON.stringify(deployment)}`);
  const storms: Storm[] = [];
  for (const [instances, events] of [
    [500, 400],
    [2000, 1350],
  ] as const) {
    shown.instances = instances;
    const storm = await measureStorm(page, fake, instances, events);
    say(JSON.stringify(storm));
    storms.push(storm);
  }
  const files = await buildPage();
  const kb = (type: string) =>
    Buffer.from(files.find((one) => one.type.startsWith(type))?.brotli ?? '', 'base64').length / 1000;
  const sizes = { scriptKb: kb('text/javascript'), stylesKb: kb('text/css') };
  return { overview, deployment, storms, idleLayouts, ...sizes };
}

async function firstPaint(page: Page, url: string, ready: string): Promise<Paint> {
  const rounds: Paint[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    await page.goto('about:blank');
    const cost = await countCost(page);
    const began = performance.now();
    await page.goto(url);
    await page.waitForSelector(ready);
    await page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))');
    rounds.push({ cpuMs: (await cost.since()).cpuMs, wallMs: performance.now() - began });
    await cost.client.detach();
  }
  const of = (key: keyof Paint) => Math.round(median(rounds.map((one) => one[key])) ?? 0);
  return { cpuMs: of('cpuMs'), wallMs: of('wallMs') };
}

/** Counts frames, reads the marker that the row of the failed instance has, and keeps the longest task. */
const WATCH = `
  globalThis.storm = { frames: [], painted: [], longest: 0 };
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) storm.longest = Math.max(storm.longest, one.duration);
  }).observe({ type: 'longtask' });
  let [last, marker] = [performance.now(), ''];
  const look = (now) => {
    storm.frames.push(now - last);
    last = now;
    const found = /marker (\\d+)/.exec(document.querySelector('.deployment-rows tbody tr')?.textContent ?? '')?.[1];
    if (found !== undefined && found !== marker) {
      marker = found;
      storm.painted.push([Number(found), Date.now()]);
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
`;

async function measureStorm(
  page: Page,
  fake: FakeConsole,
  instances: number,
  events: number,
): Promise<Storm> {
  await page.goto(fake.url + DEPLOYMENT);
  await page.waitForSelector('.deployment-rows tbody tr');
  // What follows the load is not the storm.
  await setTimeout(1000);
  await page.evaluate(`{${WATCH}}`);
  const cost = await countCost(page);
  const began = performance.now();
  let sent = 0;
  const markers: number[] = [];
  while (performance.now() - began < STORM_MS) {
    const due = Math.floor(((performance.now() - began) / 1000) * events);
    const at = Date.now();
    const batch: PublisherEvent[] = [];
    for (; sent < due; sent += 1) batch.push({ type: 'report', at, report: nextReport(sent, instances) });
    const error = { code: 'CHECK_FAILED', message: `marker ${at}` };
    batch.push({
      type: 'report',
      at,
      report: { ...report(1, 'rolled-back', { error }), n: 10 + sent } as Report,
    });
    fake.say({ type: 'events', at, events: batch });
    markers.push(at);
    await setTimeout(EVERY_MS);
  }
  const seconds = (performance.now() - began) / 1000;
  const { cpuMs } = await cost.since();
  const { frames, painted, longest } = await page.evaluate<{
    frames: number[];
    painted: [number, number][];
    longest: number;
  }>('storm');
  // A frame shows what was sent last, and with it all that was sent before. What no frame has had yet is left out.
  const ages = markers.flatMap((at) => {
    const shown = painted.find(([marker]) => marker >= at);
    return shown === undefined ? [] : [shown[1] - at];
  });
  const part = (of: number[], share: number) =>
    Math.round(10 * (of.toSorted((a, b) => a - b)[Math.floor(of.length * share)] ?? 0)) / 10;
  return {
    ...{ instances, events: Math.round(sent / seconds), cpuMs: Math.round(cpuMs / seconds) },
    ...{ framesPerSecond: Math.round(frames.length / seconds), frameP95: part(frames, 0.95) },
    ...{ paintedP50: part(ages, 0.5), paintedP95: part(ages, 0.95), longestTask: Math.round(longest) },
  };
}

/** Each instance but the failed one goes from state to state. */
function nextReport(sent: number, instances: number): Report {
  const round = Math.floor(sent / (instances - 2));
  const state = STATES[round % STATES.length] ?? 'watching';
  return { ...report(2 + (sent % (instances - 2)), state), n: 10 + round };
}
