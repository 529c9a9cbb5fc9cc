import { cpSync, existsSync, lstatSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { agentQueueName, keys } from '../../shared/names.ts';
import { startFakeAutoScaling } from '../support/cloud/fake-auto-scaling.ts';
import { startFakeImds } from '../support/cloud/fake-imds.ts';
import { deploy, push, setupOf } from '../support/commands.ts';
import {
  BUCKET,
  controlManager,
  ENV,
  type Fleet,
  type FleetOptions,
  type Instance,
  sampleService,
  startFleet,
} from '../support/fleet/fleet.ts';
import { AGENT } from '../support/programs.ts';
import { proved } from '../support/reliability.ts';
import { scriptJar } from '../support/shared/zip.ts';

async function world(options: FleetOptions = {}) {
  const [imds, asg] = await Promise.all([startFakeImds(), startFakeAutoScaling()]);
  const fleet = await startFleet({ agentEnv: () => ({ ...imds.env, ...asg.env }), ...options });
  onTestFinished(async () => {
    await fleet.stop();
    await Promise.all([imds, asg].map((fake) => fake.stop()));
  });
  return { imds, asg, fleet };
}

test('an agent that is killed while a hook of the end runs continues: what ended does not run again, the queue is gone, the group goes on', async () => {
  const { imds, asg, fleet } = await world();
  const note = (dir: string, name: string, more = '') => ({
    run: ['/bin/sh', '-c', `echo ${name} >>${dir}/ending.log${more}`],
  });
  const instance = await fleet.addInstance(
    'i-0a1',
    ({ dir, ...rest }) => ({
      payments: sampleService(
        { dir, ...rest },
        {
          hooks: {
            beforeStop: [note(dir, 'drain')],
            onTerminate: [
              note(dir, 'save'),
              note(
                dir,
                'slow',
                `; while [ ! -e ${dir}/go ]; do sleep 0.05; done; echo slow-ended >>${dir}/ending.log`,
              ),
              note(dir, 'last'),
            ],
          },
        },
      ),
    }),
    { lifecycle: { autoScaling: { terminateHook: 'end' } } },
  );
  await push(fleet, '1.0.0');
  await deploy(fleet, '1.0.0');
  await writeFile(join(instance.dir, 'ending.log'), '');
  asg.join('i-0a1', 'web');
  asg.wait('i-0a1', 'end');
  imds.target('Terminated');
  const log = async () => (await readFile(join(instance.dir, 'ending.log'), 'utf8')).trim().split('\n');
  await expect.poll(log, { timeout: 30_000 }).toContain('slow');
  await fleet.stopAgent(instance, 'SIGKILL');
  // The metadata does not answer any more: the notice is known.
  imds.gets = 'hangs';
  await writeFile(join(instance.dir, 'go'), '');
  // It subscribes to nothing, so it is not waited for as others are.
  const again = async () => {
    instance.agent = fleet.start([AGENT, 'run', '--config', instance.configFile], {
      env: { ...fleet.cloud.env('session-i-0a1'), ...imds.env, ...asg.env },
      cwd: instance.dir,
    });
    await instance.agent.line((line) => line.includes('everything for the end of the instance is done'));
  };
  await again();
  const lines = await log();
  expect(lines.filter((line) => line === 'drain' || line === 'save')).toEqual(['drain', 'save']);
  expect(lines.at(-1)).toBe('last');
  expect(asg.resultOf('i-0a1', 'end')).toBe('CONTINUE');
  expect(fleet.cloud.queues()).not.toContain(agentQueueName(ENV, 'i-0a1'));
  await fleet.stopAgent(instance, 'SIGKILL');
  await again();
  await instance.agent?.line((line) => line.includes('the instance has left its environment'));
  expect(instance.agent?.stdout()).not.toContain('subscribed');
  expect(fleet.cloud.queues()).not.toContain(agentQueueName(ENV, 'i-0a1'));
  proved('instance-end', 'killed in a hook, and after the end');
}, 120_000);

test('a launch is completed only once the service is healthy, whatever happens to the agent meanwhile', async () => {
  const { imds, asg, fleet } = await world();
  const first = await fleet.addInstance('i-0a1');
  await push(fleet, '1.0.0', { healthyWithFile: 'warm' });
  await writeFile(join(first.dir, 'payments', 'warm'), '').catch(async () => {
    await mkdir(join(first.dir, 'payments'), { recursive: true });
    await writeFile(join(first.dir, 'payments', 'warm'), '');
  });
  await deploy(fleet, '1.0.0');
  imds.target('InService');
  asg.join('i-0b2', 'web');
  asg.wait('i-0b2', 'ready');
  const instance = await fleet.addInstance('i-0b2', (one) => ({ payments: sampleService(one, {}, '60s') }), {
    lifecycle: { autoScaling: { launchHook: 'ready' } },
  });
  await instance.agent?.line((line) => line.includes('"msg":"checking"'));
  await fleet.stopAgent(instance, 'SIGKILL');
  await fleet.startAgent(instance);
  await instance.agent?.line((line) => line.includes('the launch waits'));
  expect(asg.resultOf('i-0b2', 'ready')).toBeUndefined();
  await writeFile(join(instance.dir, 'payments', 'warm'), '');
  await instance.agent?.line((line) => line.includes('the launch is completed'));
  expect(asg.resultOf('i-0b2', 'ready')).toBe('CONTINUE');
  expect(await fleet.ask(instance)).toEqual({ status: 200, version: '1.0.0' });
  // Later starts ask for nothing any more.
  const calls = asg.calls.length;
  await fleet.stopAgent(instance);
  await fleet.startAgent(instance);
  const reads = imds.requests.length;
  await expect.poll(() => imds.requests.length, { timeout: 30_000 }).toBeGreaterThan(reads + 6);
  expect(asg.calls).toHaveLength(calls);
  proved('launch', 'an agent killed while it checks');
}, 120_000);

const SERVER = fileURLToPath(new URL('../support/fleet/sample-service/server.mjs', import.meta.url));

/** `payments` is an archive, `ledger` a jar: a script that runs the server beside it. */
function twoTypes(one: Instance) {
  const dir = join(one.dir, 'ledger');
  const program = ['/bin/sh', join(dir, 'current', 'ledger.jar'), '0'];
  return {
    payments: sampleService(one),
    ledger: { package: { type: 'jar', dir }, manager: controlManager(dir, program), watch: '100ms' },
  };
}

async function pushLedger(fleet: Fleet, version: string): Promise<void> {
  const dir = join(fleet.dir, 'jars', version);
  await mkdir(dir, { recursive: true });
  const [jar, config] = [join(dir, `ledger-${version}.jar`), join(dir, 'behaviour.json')];
  await writeFile(jar, scriptJar(`exec ${process.execPath} "$(dirname "$0")/server.mjs" "$1"\n`));
  await writeFile(config, JSON.stringify({ version, healthStatus: 200 }));
  const pushed = await fleet.publisher('push', 'ledger', version, jar, SERVER, '--config', config);
  expect(pushed, pushed.stderr).toMatchObject({ code: 0 });
}

test('an instance of a prepared image starts without a download, and with another version downloads that one alone', async () => {
  const { fleet } = await world();
  for (const version of ['1.0.0', '2.0.0']) {
    await push(fleet, version);
    await pushLedger(fleet, version);
  }
  // The image is built as OPERATIONS says: the agent converges, leaves, and is stopped; its state and its identity go.
  const builder = await fleet.addInstance('i-0b0', twoTypes);
  for (const service of ['payments', 'ledger']) await (await setupOf(fleet)).rolledOut(service, '1.0.0');
  await fleet.stopAgent(builder);
  const left = await fleet.runAgentCommand(builder, 'leave');
  expect(left, left.stderr).toMatchObject({ code: 0 });
  const perMachine = ['service.pid', 'service.log'];
  const start = async (id: string) =>
    await fleet.addInstance(id, (one) => {
      for (const service of ['payments', 'ledger']) {
        cpSync(join(builder.dir, service), join(one.dir, service), {
          recursive: true,
          verbatimSymlinks: true,
          filter: (path) => !perMachine.includes(basename(path)) && !lstatSync(path).isSocket(),
        });
      }
      return twoTypes(one);
    });
  const downloads = () =>
    fleet.cloud.requests
      .filter(({ operation, key }) => operation === 'GetObject' && key?.startsWith('artifacts/'))
      .map(({ key = '' }) => key.split('/').slice(1, 3).join(' '));

  const before = downloads().length;
  const first = await start('i-0c1');
  const converged = (instance: Instance, version: string) =>
    expect
      .poll(
        async () => {
          const { stdout } = await fleet.runAgentCommand(instance, 'status', '--json', '--offline');
          const { services } = JSON.parse(stdout) as { services: { version: string; state: string }[] };
          return services.map((one) => `${one.version} ${one.state}`);
        },
        { timeout: 60_000, interval: 300 },
      )
      .toEqual([`${version} succeeded`, `${version} succeeded`]);
  await converged(first, '1.0.0');
  expect(await fleet.ask(first)).toMatchObject({ version: '1.0.0' });
  expect(downloads().slice(before)).toEqual([]);

  // The image is older than what should run.
  for (const service of ['payments', 'ledger']) await (await setupOf(fleet)).rolledOut(service, '2.0.0');
  const between = downloads().length;
  const second = await start('i-0c2');
  await converged(second, '2.0.0');
  expect(await fleet.ask(second)).toMatchObject({ version: '2.0.0' });
  expect(new Set(downloads().slice(between))).toEqual(new Set(['payments 2.0.0', 'ledger 2.0.0']));
  expect(existsSync(join(second.dir, 'ledger', 'releases', '1.0.0'))).toBe(true);
  expect(fleet.cloud.object(BUCKET, keys.desired(ENV, 'ledger'))).toBeDefined();
  proved('image', 'archive and jar: 0 downloads; one version older: that version alone');
}, 180_000);
