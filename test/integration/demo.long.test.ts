import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { commandLineOf, killMarked, markedProcesses } from '../support/fleet/marked-processes.ts';
import { type Program, startProgram } from '../support/programs.ts';

/** `npm run demo`: what it shows, that what it offers works, and that nothing of it stays, however it ends. */

const DEMO = fileURLToPath(new URL('../support/demo/demo.ts', import.meta.url));
let dir: string;
let demo: Program;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'demo-test-'));
});
afterEach(async () => {
  demo.process.kill('SIGKILL');
  await killMarked(dir);
  await rm(dir, { recursive: true });
});

function startDemo(...args: string[]): void {
  const { TRIGGER_DEPLOY_PROGRAMS = '' } = process.env;
  const env = { TMPDIR: dir, TRIGGER_DEPLOY_PROGRAMS };
  demo = startProgram([DEMO, ...args], { env, cwd: dir, ownGroup: true });
}

/** As a terminal does it: the signal goes to every process of the group. */
function pressCtrlC(): void {
  process.kill(-(demo.process.pid ?? 0), 'SIGINT');
}

async function expectNothingLeft(): Promise<void> {
  expect(markedProcesses(dir)).toEqual([]);
  expect(await readdir(dir)).toEqual([]);
}

const printed = (text: string) => demo.line((line) => line.includes(text));

test('it deploys, upgrades and rolls back, and with --keep it offers more, which works', {
  timeout: 120_000,
}, async () => {
  startDemo('--keep');
  await printed('tail -f ');
  const story = demo.stdout();
  expectInOrder(story, [
    /^\$ trigger-deploy push payments 1\.0\.0 payments-1\.0\.0\.tar\.gz$/m,
    /^\$ trigger-deploy payments 1\.0\.0 --env dev$/m,
    /settled succeeded: 3 of 3 succeeded; the desired state is 1\.0\.0/,
    /^\$ trigger-deploy payments 1\.1\.0 --env dev$/m,
    /settled succeeded: 3 of 3 succeeded; the desired state is 1\.1\.0/,
    /^The client asked \d+ times: \d+ answers \(\d+ × 1\.0\.0, \d+ × 1\.1\.0\), \d+ failed\.$/m,
    /^\$ trigger-deploy payments 1\.2\.0 --env dev$/m,
    /rolled-back 1\.2\.0 back to 1\.1\.0 CHECK_FAILED: GET \S+\/health: http 500/,
    /error: GET \/health: connection pool of 1\.2\.0 is empty/,
    /settled failed: 0 of 3 succeeded, 3 rolled back/,
    /^Exit code 1, and every instance answers as 1\.1\.0 again\.$/m,
    /^\$ trigger-deploy status --env dev$/m,
    /^\$ trigger-deploy history payments --env dev$/m,
    /^ {2}1\.0\.0 {2}\d+\.\d\d s {2}healthy everywhere$/m,
    /^ {2}1\.1\.0 {2}\d+\.\d\d s {2}healthy everywhere$/m,
    /^ {2}1\.2\.0 {2}\d+\.\d\d s {2}rolled back, and healthy again everywhere$/m,
  ]);

  const setUp = story.slice(story.indexOf('\ncd '), story.indexOf('\nThen try:'));
  const agentStatus = /^trigger-deploy-agent .+$/m.exec(story)?.[0];
  const typed = [
    'trigger-deploy push payments 1.3.0 payments-1.3.0.tar.gz',
    'trigger-deploy payments latest --env dev',
    'trigger-deploy rollback payments --env dev',
    'trigger-deploy push payments 1.4.0 payments-1.4.0.tar.gz',
    '! trigger-deploy payments 1.4.0 --env dev',
    agentStatus,
  ];
  const script = ['set -e', setUp, ...typed].join('\n');
  const { stdout } = await promisify(execFile)('sh', ['-c', script], { env: { PATH: process.env.PATH } });
  expectInOrder(stdout, [
    /the desired state is 1\.3\.0/,
    /settled succeeded: 3 of 3 succeeded; the desired state is 1\.1\.0/,
    /table "ledger" does not exist/,
    /^payments +1\.1\.0 +active/m,
  ]);

  pressCtrlC();
  expect(await demo.finished).toMatchObject({ code: 0, stderr: '' });
  await expectNothingLeft();
});

test.each([
  ['Ctrl-C while the agents start', 'the cloud', pressCtrlC, 130],
  ['SIGTERM while services are checked', ' checking 1.0.0', () => demo.process.kill('SIGTERM'), 143],
])('%s leaves nothing behind', async (_moment, text, interrupt, code) => {
  startDemo();
  await printed(text);
  interrupt();
  const finished = await demo.finished;
  expect(finished, finished.stderr).toMatchObject({ code });
  await expectNothingLeft();
});

test('a step that fails is named, and leaves nothing behind', async () => {
  startDemo();
  await printed(' starting 1.0.0');
  const deploying = markedProcesses(dir).find((pid) => commandLineOf(pid).includes('payments 1.0.0 --env'));
  if (deploying === undefined) throw new Error('nothing deploys 1.0.0');
  process.kill(deploying, 'SIGKILL');
  const { code, stderr } = await demo.finished;
  expect(code).toBe(1);
  expect(stderr).toContain(
    'The demo failed: "trigger-deploy payments 1.0.0 --env dev" was ended by a signal',
  );
  await expectNothingLeft();
});

function expectInOrder(text: string, expressions: readonly RegExp[]): void {
  let rest = text;
  for (const expression of expressions) {
    const found = expression.exec(rest);
    expect(found, `${expression} in:\n${rest}`).not.toBeNull();
    rest = rest.slice((found?.index ?? 0) + (found?.[0].length ?? 0));
  }
}
