import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { styleText } from 'node:util';
import { ENV, type Fleet, type Instance, sampleService } from '../fleet/fleet.ts';
import { type Behaviour, packSampleService } from '../fleet/sample-service/package.ts';
import { AGENT, PUBLISHER } from '../programs.ts';
import { askDuring, askVersion, tallyText } from './client.ts';

/** What the demo shows, step by step, and what it makes sure of on the way. */

const INSTANCES = ['i-0990aabb', 'i-0a1b2c3d', 'i-0d3e4f5a'];
/** No command of the demo takes a fifth of this. */
const COMMAND_WITHIN_MS = 60_000;
const ANSWERS_WITHIN_MS = 10_000;

export class DemoFailure extends Error {}

export interface Stage {
  fleet: Fleet;
  /** Aborts when the demo must end. */
  signal: AbortSignal;
}

/** Tells the story. Returns the address of the console, whose key is good for one use. */
export async function tellStory(stage: Stage): Promise<string> {
  const { fleet } = stage;
  say('trigger-deploy: one message out; every instance fetches, switches, restarts, checks and answers.');
  say(`No root, no Java, no AWS account: all of this demo lies in ${fleet.dir}.`);
  await startInstances(stage);
  const console = await startConsole(stage);

  heading('1. A first version');
  await push(stage, '1.0.0');
  await deploy(stage, '1.0.0', { exitCode: 0, runsThen: '1.0.0' });

  heading('2. The next one, while a client keeps asking every instance which version it is');
  await push(stage, '1.1.0');
  const tally = await askDuring(fleet.instances, () =>
    deploy(stage, '1.1.0', { exitCode: 0, runsThen: '1.1.0' }),
  );
  say(`\n${tallyText(tally)}`);

  heading('3. A bad one: 1.2.0 starts, but answers 500 on /health');
  await push(stage, '1.2.0', { healthStatus: 500 });
  await deploy(stage, '1.2.0', { exitCode: 1, runsThen: '1.1.0' });
  say('\nExit code 1, and every instance answers as 1.1.0 again.');

  heading('4. What runs, and what happened');
  await type(stage, ['status', '--env', ENV], 0);
  say('');
  await type(stage, ['history', 'payments', '--env', ENV], 0);
  await tellSeconds(stage);
  return console;
}

/** What to type in another terminal, to be pasted as it is. */
export async function offerMore({ fleet }: Stage, console: string): Promise<void> {
  await packSampleService(fleet.publisherDir, '1.3.0');
  await packSampleService(fleet.publisherDir, '1.4.0', { exitAtStart: true });
  const bin = join(fleet.dir, 'bin');
  await mkdir(bin);
  for (const [name, program] of [
    ['trigger-deploy', PUBLISHER],
    ['trigger-deploy-agent', AGENT],
  ] as const) {
    const file = join(bin, name);
    await writeFile(file, `#!/bin/sh\nexec ${quoted(process.execPath)} ${quoted(program)} "$@"\n`);
    await chmod(file, 0o755);
  }
  const exports = Object.entries(fleet.cloud.env()).map(([name, value]) => `export ${name}=${quoted(value)}`);
  const [first] = fleet.instances;
  heading('It all stays up until Ctrl-C. In another terminal, paste this once:');
  say(`cd ${quoted(fleet.publisherDir)}`);
  say(`export PATH=${quoted(bin)}:"$PATH"`);
  for (const line of exports) say(line);
  heading('The console, for a browser on this machine; the address is good for one use:');
  say(console);
  heading('Then try:');
  say(`trigger-deploy push payments 1.3.0 payments-1.3.0.tar.gz
trigger-deploy payments 1.3.0 --env ${ENV}                # or: latest
trigger-deploy status --env ${ENV}
trigger-deploy rollback payments --env ${ENV}
trigger-deploy push payments 1.4.0 payments-1.4.0.tar.gz  # ends at its start
trigger-deploy payments 1.4.0 --env ${ENV}                # its own last words come back
trigger-deploy payments 1.3.0 --env ${ENV} --no-wait      # then the watch it names
trigger-deploy history payments --env ${ENV}
trigger-deploy show ID --env ${ENV}                       # an id of the history
trigger-deploy-agent status --config ${quoted(first?.configFile ?? '')}
tail -f ${quoted(first?.logFile ?? '')}
`);
}

/** The end of what each agent has logged: what a failed demo leaves to go by. */
export function agentLogs({ instances }: Fleet): string {
  return instances
    .flatMap(({ id, agent }) => [`--- ${id}`, ...(agent?.stdout().trimEnd().split('\n').slice(-15) ?? [])])
    .join('\n');
}

async function startInstances({ fleet, signal }: Stage): Promise<void> {
  say(`\n  the cloud   SNS, SQS and S3, embedded, on ${fleet.cloud.endpoint}`);
  const service = (instance: Instance) => ({ payments: sampleService(instance, {}, '5s') });
  const started = await Promise.all(INSTANCES.map((id) => fleet.addInstance(id, service)));
  signal.throwIfAborted();
  for (const { id, agent, port } of started) {
    say(`  ${id}  an agent, process ${agent?.process.pid}, with payments to run on http://127.0.0.1:${port}`);
  }
}

/** The console, as a person starts it. It runs beside all that follows. */
async function startConsole({ fleet, signal }: Stage): Promise<string> {
  const program = fleet.startPublisher('console', '--port', '0', '--no-open');
  const address = await program.line((line) => line.startsWith('http://'));
  signal.throwIfAborted();
  say(`  the console ${address}`);
  return address;
}

async function push(stage: Stage, version: string, behaviour?: Behaviour): Promise<void> {
  await packSampleService(stage.fleet.publisherDir, version, behaviour);
  await type(stage, ['push', 'payments', version, `payments-${version}.tar.gz`], 0);
  say('');
}

async function deploy(
  stage: Stage,
  version: string,
  expected: { exitCode: number; runsThen: string },
): Promise<void> {
  await type(stage, ['payments', version, '--env', ENV], expected.exitCode);
  for (const { id, port } of stage.fleet.instances) {
    const found = await askVersion(port, ANSWERS_WITHIN_MS);
    if (found === expected.runsThen) continue;
    throw new DemoFailure(`${id} runs ${found ?? 'no version'}, expected ${expected.runsThen}`);
  }
}

/** Runs the publisher as if it were typed; its output goes where this process's goes. */
async function type(stage: Stage, args: readonly string[], exitCode: number): Promise<void> {
  const command = `trigger-deploy ${args.join(' ')}`;
  say(`${styleText('bold', '$')} ${styleText('bold', command)}`);
  const code = await publish(stage, args, true).then((finished) => finished.code);
  if (code !== exitCode) {
    const how = code === null ? 'was ended by a signal' : `ended with exit code ${code}`;
    throw new DemoFailure(`"${command}" ${how}, expected was exit code ${exitCode}`);
  }
}

async function publish({ fleet, signal }: Stage, args: readonly string[], shown: boolean) {
  signal.throwIfAborted();
  const { TERM = '', NO_COLOR = '' } = process.env;
  const program = fleet.start([PUBLISHER, ...args], {
    env: { ...fleet.env, TERM, NO_COLOR },
    cwd: fleet.publisherDir,
    shown,
  });
  const end = () => program.process.kill('SIGKILL');
  const over = AbortSignal.any([signal, AbortSignal.timeout(COMMAND_WITHIN_MS)]);
  over.addEventListener('abort', end, { once: true });
  const finished = await program.finished;
  over.removeEventListener('abort', end);
  signal.throwIfAborted();
  return finished;
}

interface Deployment {
  version: string;
  status: string;
  tookMs: number;
}

async function tellSeconds(stage: Stage): Promise<void> {
  const { stdout } = await publish(stage, ['history', 'payments', '--env', ENV, '--output', 'json'], false);
  const deployments = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Deployment)
    .reverse();
  heading('From the announcement to healthy everywhere, half a second of watching included');
  for (const { version, status, tookMs } of deployments) {
    const ending =
      status === 'succeeded' ? 'healthy everywhere' : 'rolled back, and healthy again everywhere';
    say(`  ${version}  ${(tookMs / 1000).toFixed(2)} s  ${ending}`);
  }
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function say(text: string): void {
  console.log(text);
}

function heading(text: string): void {
  console.log(`\n${styleText('bold', text)}\n`);
}
