import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { startChromium } from '../../support/console/chromium.ts';
import { inOwnCloud } from '../in-own-cloud.ts';
import { BUCKET, type Instances } from '../instances.ts';
import { startCrowd } from '../scale/crowd.ts';
import { openFiller } from '../scale/fill.ts';

/** What the server of the console takes, over the embedded cloud. */

export interface ServerFigures {
  services: number;
  environments: number;
  instances: number;
  /** From the request of the stream until all of the overview is there, ms: of a console that has just started, and again. */
  coldMs: number;
  nextMs: number;
  /** Requests to AWS in a minute with an open overview. */
  requests: number;
  agents: number;
  /** From the press of the button until the announcement is on the topic, ms; in Chromium. */
  announcedMs: number;
}

const SERVICES = 50;
const ENVIRONMENTS = ['dev', 'stg', 'prd'] as const;
const INSTANCES = 500;
const AGENTS = 100;
/** How many agents one process has. */
const EACH = 50;
const MINUTE = 60_000;

export async function measureServer(say: (line: string) => void): Promise<ServerFigures> {
  const acting = await measureActing();
  say(JSON.stringify(acting));
  const looking = await measureLooking();
  say(JSON.stringify(looking));
  return {
    ...{ services: SERVICES, environments: ENVIRONMENTS.length, instances: INSTANCES, agents: AGENTS },
    ...looking,
    ...acting,
  };
}

const instanceName = (n: number) => `i-${n.toString(16).padStart(8, '0')}`;

async function measureLooking(): Promise<Pick<ServerFigures, 'coldMs' | 'nextMs' | 'requests'>> {
  return await inOwnCloud('console', async ({ directory, cloud, instances }) => {
    const keyFile = join(directory, 'keys', 'ci.key.json');
    const topics = ENVIRONMENTS.map((env) => [env, cloud.createTopic(`trigger-deploy-${env}`)] as const);
    await writeConfig(instances, keyFile, topics);
    let n = 0;
    const cells = ENVIRONMENTS.length * SERVICES;
    for (const env of ENVIRONMENTS) {
      const filler = await openFiller(cloud, keyFile, env);
      for (let i = 0; i < SERVICES; i += 1) {
        const own = Math.floor(((n + 1) * INSTANCES) / cells) - Math.floor((n * INSTANCES) / cells);
        const names = Array.from({ length: own }, (_, at) => instanceName(n * 10 + at + 1));
        n += 1;
        const service = `service-${i}`;
        await filler.versions(service, 5);
        await filler.deployments(service, 5, names);
        filler.instances(service, names, '1.0.5');
      }
    }
    const console = await startConsole(instances);
    try {
      const session = await sessionOf(console.address);
      const cold = await openOverview(console.address, session);
      const next = await openOverview(console.address, session);
      await setTimeout(5000);
      const before = cloud.requests.length;
      await setTimeout(MINUTE);
      const requests = cloud.requests.length - before;
      cold.close();
      next.close();
      return { coldMs: cold.ms, nextMs: next.ms, requests };
    } finally {
      await console.end();
    }
  });
}

async function measureActing(): Promise<Pick<ServerFigures, 'announcedMs'>> {
  return await inOwnCloud('console', async (own) => {
    const { directory, cloud, instances } = own;
    const filler = await openFiller(cloud, join(directory, 'keys', 'ci.key.json'));
    await filler.versions('app', 5);
    const crowds: ChildProcess[] = [];
    let console: Awaited<ReturnType<typeof startConsole>> | undefined;
    try {
      for (let first = 1; first <= AGENTS; first += EACH) crowds.push(await startCrowd(own, first, EACH));
      console = await startConsole(instances);
      await using browser = await startChromium({ viewport: { width: 1440, height: 900 } });
      const { page } = browser;
      await page.goto(console.address);
      await page.locator('a.service').waitFor();
      // A dialog of a link is open at once; its button acts after the page knows what runs there.
      const origin = new URL(console.address).origin;
      await page.goto(`${origin}/s/app?act=deploy&env=dev&service=app&version=1.0.2`);
      const submit = page.locator('dialog button[type=submit]', { hasText: `${AGENTS} instances` });
      await submit.waitFor();
      const before = cloud.requests.length;
      await page.evaluate(
        "addEventListener('click', () => { sessionStorage.setItem('pressed', Date.now()); }, true)",
      );
      await submit.click();
      await page.waitForURL('**/d/dev/app/*');
      const pressedAt = Number(await page.evaluate<string>("sessionStorage.getItem('pressed')"));
      const published = () => cloud.requests.slice(before).find(({ operation }) => operation === 'Publish');
      while (published() === undefined) await setTimeout(5);
      const announcedMs = (published()?.at ?? 0) - pressedAt;
      await page.getByText(`${AGENTS} succeeded`).first().waitFor({ timeout: MINUTE });
      return { announcedMs };
    } finally {
      for (const crowd of crowds) crowd.kill('SIGTERM');
      await Promise.all(crowds.map((one) => (one.exitCode === null ? once(one, 'exit') : undefined)));
      await console?.end();
    }
  });
}

async function writeConfig(
  { publisher }: Instances,
  keyFile: string,
  topics: readonly (readonly [string, string])[],
): Promise<void> {
  const environments = topics.map(
    ([env, topic]) =>
      `  ${env}: { region: eu-west-1, topic: "${topic}", bucket: ${BUCKET}, pathStyle: true, signingKey: ${keyFile} }\n`,
  );
  const text = `home: dev\nenvironments:\n${environments.join('')}`;
  await writeFile(join(publisher.cwd, 'trigger-deploy.yaml'), text);
}

async function startConsole({ publisher }: Instances): Promise<{ address: string; end(): Promise<void> }> {
  const [node, program] = publisher.argv;
  const child = spawn(node, [program, 'console', '--port', '0', '--output', 'json', '--no-open'], {
    cwd: publisher.cwd,
    env: publisher.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface(child.stdout);
  const found = Promise.withResolvers<string>();
  lines.on('line', (line) => {
    if (line.includes('"address"')) found.resolve((JSON.parse(line) as { address: string }).address);
  });
  child.once('exit', () => found.reject(new Error('the console ended')));
  return {
    address: await found.promise,
    async end() {
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
}

async function sessionOf(address: string): Promise<string> {
  const url = new URL(address);
  const headers = {
    ...{ 'content-type': 'application/json', 'x-trigger-deploy': '1', 'sec-fetch-site': 'same-origin' },
    origin: url.origin,
  };
  const body = JSON.stringify({ key: url.hash.slice('#k='.length) });
  const answer = await fetch(`${url.origin}/api/session`, { method: 'POST', headers, body });
  return ((await answer.json()) as { session: string }).session;
}

/** Opens the stream of the overview; `ms` is the time until all services were there. */
async function openOverview(address: string, session: string): Promise<{ ms: number; close(): void }> {
  const ending = new AbortController();
  const began = performance.now();
  const answer = await fetch(`${new URL(address).origin}/api/live?about=overview`, {
    headers: { authorization: `Bearer ${session}` },
    signal: ending.signal,
  });
  let text = '';
  const decoder = new TextDecoder();
  const reader = answer.body?.getReader();
  // What was not read within the patience of the first snapshot follows it.
  const cells = () => new Set(text.match(/"env":"[a-z]+","service":"service-\d+"/g)).size;
  while (cells() < SERVICES * ENVIRONMENTS.length) {
    const part = await reader?.read();
    if (part === undefined || part.done) throw new Error(`the stream ended: ${text.slice(0, 400)}`);
    text += decoder.decode(part.value, { stream: true });
  }
  const ms = Math.round(performance.now() - began);
  // It goes on, as the stream of an open page does.
  void (async () => {
    while (!(await reader?.read())?.done);
  })().catch(() => undefined);
  return { ms, close: () => ending.abort() };
}
