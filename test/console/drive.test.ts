import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keys } from '../../shared/names.ts';
import { type Reply, type ServedConsole, serveConsole } from '../support/console/served-console.ts';
import { BUCKET, ENV, type Fleet, startFleet } from '../support/fleet/fleet.ts';

/** What a console drives: by real agents, until it ends. */

let fleet: Fleet;
let served: ServedConsole;
beforeAll(async () => {
  fleet = await startFleet();
  await fleet.addInstance('i-0a1b2c3d');
  for (const version of ['1.0.0', '1.1.0', '1.2.0']) {
    const file = await fleet.pack(version);
    const pushed = await fleet.publisher('push', 'payments', version, file, '--env', ENV);
    expect(pushed.stderr + pushed.stdout).toContain(version);
  }
  served = await serveConsole(fleet);
});
afterAll(() => fleet.stop());

const run = (id: string, ...words: string[]) =>
  served.post('/api/run', { argv: [...words, `--env=${ENV}`], run: id });
const deploymentIn = ({ json }: Reply) => (json.run as { deployment: string }).deployment;
const about = (deployment: string) => `about=deployment&env=${ENV}&service=payments&deployment=${deployment}`;

describe('a deployment that the page begins', () => {
  test('is driven here, shown as it goes, and has succeeded', async () => {
    const answer = await run('begin-123', 'payments', '1.0.0');
    expect(answer.status).toBe(202);
    const stream = await served.open(about(deploymentIn(answer)));
    const { view } = await stream.message('deployment');
    expect(view.record).toMatchObject({ version: '1.0.0' });
    await expect
      .poll(() =>
        stream.messages.flatMap((one) => (one.type === 'runs' ? one.runs.map(({ state }) => state) : [])),
      )
      .toContain('ended');
    await expect
      .poll(() => JSON.stringify(stream.messages))
      .toMatch(/"type":"settled".*"outcome":"succeeded"/);
    stream.drop();
    const deployment = deploymentIn(answer);
    expect((await served.get(`/api/find?deployment=${deployment}`)).json).toEqual({
      env: ENV,
      service: 'payments',
    });
    const place = `env=${ENV}&service=payments&deployment=${deployment}`;
    const report = await served.get(`/api/report?${place}&instance=i-0a1b2c3d`);
    expect(report.json).toMatchObject({ state: 'succeeded', instance: 'i-0a1b2c3d' });
    expect((await served.get(`/api/report?${place}&instance=i-0a1b2c3e`)).status).toBe(409);
    const [instance] = fleet.instances;
    expect(instance && (await fleet.ask(instance))).toMatchObject({ version: '1.0.0' });
  });

  test('is refused with the command that helps, for a button', async () => {
    expect((await run('pause-1234', 'pause', 'payments', '--reason=why')).status).toBe(200);
    const refused = await run('paused-123', 'payments', '1.1.0');
    expect(refused).toMatchObject({ status: 409, json: { error: { code: 'PAUSED' } } });
    const { command } = refused.json.error as { command: string[] };
    expect(command).toEqual(['unpause', 'payments', '--env', ENV]);
    expect((await served.post('/api/run', { argv: command, run: 'helps-1234' })).status).toBe(200);
  });
});

test('a command in the line leaves it at once, and what it waited for goes on', async () => {
  const driving = deploymentIn(
    await run('holds-1234', 'payments', '1.2.0', '--strategy=rolling', '--canary=1', '--confirm'),
  );
  const queue = () => fleet.cloud.object(BUCKET, keys.queue(ENV, 'payments'))?.body.toString() ?? '';
  const waits = await run('waits-1234', 'payments', '1.0.0', '--queue');
  expect(waits).toMatchObject({ status: 202, json: { run: { state: 'queued' } } });
  expect(queue()).toContain('"version":"1.0.0"');
  const { by } = waits.json.run as { by: string };
  const left = await served.post('/api/leave', { run: 'waits-1234', by });
  expect(left).toMatchObject({
    status: 200,
    json: { run: { state: 'ended', error: { code: 'CANCELLED' } } },
  });
  expect(JSON.parse(queue())).toMatchObject({ waiting: [] });
  const begun = await served.post('/api/leave', { run: 'holds-1234', by });
  expect(begun).toMatchObject({ status: 409, json: { error: { code: 'NOT_WAITING' } } });
  expect((await run('cancels-12', 'cancel', driving)).status).toBe(200);
  const stream = await served.open(about(driving));
  await expect.poll(() => JSON.stringify(stream.messages)).toContain('"outcome":"cancelled"');
  stream.drop();
});

describe('a console that ends while it drives', () => {
  test('lets go in seconds, says so to the page, and another console continues', async () => {
    const words = ['payments', '1.1.0', '--strategy=rolling', '--canary=1', '--confirm'];
    const answer = await run('detach-123', ...words);
    const deployment = deploymentIn(answer);
    const stream = await served.open(about(deployment));
    await expect.poll(() => JSON.stringify(stream.messages)).toContain('"type":"waiting"');
    served.program.process.kill('SIGTERM');
    await stream.ended;
    const { code, stderr } = await served.program.finished;
    expect(code).toBe(0);
    expect(stderr).toContain('its deployments stay as they are');
    const states = stream.messages.flatMap((one) => (one.type === 'runs' ? one.runs : []));
    expect(states.filter(({ run: id }) => id === 'detach-123').at(-1)).toMatchObject({ state: 'detached' });
    // Nobody drives it now: a person confirms, and another console goes on.
    served = await serveConsole(fleet);
    expect((await run('confirm-12', 'confirm', deployment)).status).toBe(200);
    const resumed = await run('resume-123', 'resume', deployment);
    expect([200, 202]).toContain(resumed.status);
    const [instance] = fleet.instances;
    await expect.poll(async () => instance && (await fleet.ask(instance))?.version).toBe('1.1.0');
  });
});
