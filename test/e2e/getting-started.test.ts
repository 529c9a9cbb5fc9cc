import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type FakeImds, startFakeImds } from '../support/cloud/fake-imds.ts';
import { SELENIUM_JARS } from '../support/fleet/selenium.ts';
import { PUBLISHER } from '../support/programs.ts';
import { type Host, openSite, type Site } from './support/site.ts';

/**
 * docs/GETTING-STARTED.md, its ten commands one after the other: the publisher as it ships against the embedded cloud, the
 * user data run as root on a booted Debian, a real jar under a real JVM. Stand-ins: `aws`, `sudo`, `apt-get` and `curl`, and what only
 * AWS has: the stack (`init` then creates topic and bucket), the start of the instance, its metadata and its role.
 */

const INSTANCE = 'i-0f00ba4';
/** The jar of the page answers on another path, with a space after its colon. */
const VERSION = '3.14.0';

let site: Site;
let host: Host;
let imds: FakeImds;
let home: string;
let page: string;
let port: number;

beforeAll(async () => {
  site = await openSite();
  host = await site.host(INSTANCE, { bare: true });
  port = host.port('payments');
  imds = await startFakeImds({ 'instance-id': INSTANCE });
  home = join(site.dir, 'newcomer');
  await mkdir(join(home, 'target'), { recursive: true });
  await copyFile(SELENIUM_JARS[VERSION], join(home, 'target/payments.jar'));
  page = asTried(await readFile('docs/GETTING-STARTED.md', 'utf8'));
  await program('trigger-deploy', `exec "${process.execPath}" "${PUBLISHER}" "$@"`);
  await program('sudo', ': # this machine has the command');
  await program(
    'aws',
    'echo "aws $*" >> aws.log; case "$1 $2" in "s3 presign") echo https://presigned.example/agent.deb;; esac',
  );
});
afterAll(async () => {
  await imds?.stop();
  await site?.stop();
});

/** An environment of its own, so that nothing is there yet; the account of the embedded cloud; the jar of the test. */
function asTried(text: string): string {
  return text
    .replace(/(?<![/\w])dev\b|(?<=state\/|keys\/|deploy\/)dev\b/g, 'new')
    .replaceAll('123456789012', '000000000000')
    .replaceAll('1.0.0', VERSION)
    .replaceAll('payments.jar\nWorking', `payments.jar -port ${port}\nWorking`)
    .replaceAll('http://127.0.0.1:8080/health', `http://127.0.0.1:${port}/wd/hub/status`)
    .replaceAll(`'"version":"{version}"'`, `'"version": "{version}"'`);
}

async function program(name: string, text: string): Promise<void> {
  const file = join(home, 'bin', name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `#!/bin/sh\n${text}\n`);
  await chmod(file, 0o755);
}

/** The block of this language that comes at `index`, without the indentation of its list. */
function blocks(language: string): string[] {
  return [...page.matchAll(new RegExp(`^( *)\`\`\`${language}\\n([\\s\\S]*?)^ *\`\`\`$`, 'gm'))].map(
    ([, indent = '', text = '']) => text.replace(new RegExp(`^${indent}`, 'gm'), ''),
  );
}

const command = (number: number) => blocks('sh')[number - 1] ?? '';

async function typed(text: string): Promise<{ code: number | null; output: string }> {
  const env = {
    ...site.fleet.env,
    ...site.fleet.cloud.env('operator'),
    PATH: `${join(home, 'bin')}:${process.env.PATH}`,
    HOME: home,
  };
  const child = spawn('sh', ['-ec', text], { cwd: home, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
  }
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

test('the page has ten commands', () => {
  expect(blocks('sh')).toHaveLength(10);
});

test('the first three give a template with the roles', async () => {
  for (const number of [1, 2, 3]) {
    const { code, output } = await typed(command(number));
    expect(code, output).toBe(0);
  }
  expect(await readFile(join(home, 'new.yaml'), 'utf8')).toContain('trigger-deploy-new-agent');
  expect(await readFile(join(home, 'aws.log'), 'utf8')).toContain('--template-file new.yaml');
});

test('the fourth makes key and config; what the stack would have made is made by init', async () => {
  const { code, output } = await typed(command(4));
  expect(code, output).toBe(0);
  expect(await readFile(join(home, '.config/trigger-deploy/trigger-deploy.yaml'), 'utf8')).toContain('new:');
});

test('with the user data of the sixth, a new instance installs the agent, which passes its check and polls', async () => {
  await writeFile(join(home, 'agent.yaml'), blocks('yaml')[0] ?? '');
  await writeFile(join(home, 'payments.service'), blocks('ini')[0] ?? '');
  for (const number of [5, 6, 7]) {
    const { code, output } = await typed(command(number));
    expect(code, output).toBe(0);
  }
  await host.boot();
  const environment = { ...site.fleet.cloud.env(`session-${INSTANCE}`), ...imds.env };
  const lines = Object.entries(environment).map(([name, value]) => `${name}=${value}\n`);
  await host.write('/etc/default/trigger-deploy-agent', lines.join(''));
  await host.write('/usr/local/bin/apt-get', '#!/bin/sh\n', 0o755);
  await host.write('/usr/local/bin/curl', '#!/bin/sh\nexec cp /root/agent.deb "$3"\n', 0o755);
  await copyFile(resolve(inject('e2e').agentDeb), host.seen('/root/agent.deb.part'));
  await rename(host.seen('/root/agent.deb.part'), host.seen('/root/agent.deb'));
  await host.write('/root/user-data.sh', await readFile(join(home, 'user-data.sh'), 'utf8'), 0o755);
  const run = await host.run(['/root/user-data.sh'], { timeout: 120_000 });
  expect(run.exitCode, run.output).toBe(0);
  expect(run.output).toContain('ready to run');
});

test('the last three find nothing wrong, push, and deploy; the service runs', async () => {
  for (const number of [8, 9, 10]) {
    const { code, output } = await typed(command(number));
    expect(code, output).toBe(0);
  }
  const answer = await fetch(`http://127.0.0.1:${port}/wd/hub/status`);
  expect(await answer.text()).toContain(VERSION);
});
