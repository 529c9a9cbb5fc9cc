import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { controlManager, type Fleet, type Instance, startFleet } from '../support/fleet/fleet.ts';
import { scriptJar } from '../support/shared/zip.ts';

/** What the operator's config can ask for, on one instance with two services side by side. */

let fleet: Fleet;
let instance: Instance;
const SERVER = fileURLToPath(new URL('../support/fleet/sample-service/server.mjs', import.meta.url));
const behaviour = (version: string, more = {}) => JSON.stringify({ version, healthStatus: 200, ...more });

beforeAll(async () => {
  fleet = await startFleet();
  instance = await fleet.addInstance('i-0e5', (one) => {
    const url = `http://127.0.0.1:${one.port}/health`;
    const note = join(one.dir, 'note.sh');
    return {
      // A jar may begin with a script: here one that runs the server beside it.
      payments: {
        package: {
          type: 'jar',
          dir: join(one.dir, 'payments'),
          adopt: { path: join(one.dir, 'legacy.jar'), version: 'legacy' },
        },
        manager: controlManager(join(one.dir, 'payments'), [
          '/bin/sh',
          join(one.dir, 'payments', 'current', 'payments.jar'),
          String(one.port),
        ]),
        checks: [
          { http: { url, body: '"version":"{version}"', deadline: '20s' } },
          { tcp: { port: one.port } },
          { command: { run: ['/bin/sh', '-c', 'test "$TRIGGER_DEPLOY_SERVICE" = payments'] } },
        ],
        watch: '100ms',
        hooks: {
          beforeStop: [{ run: [note, 'before'], environment: { POOL: 'blue' } }],
          afterStart: [{ run: [note, 'after'] }],
        },
      },
      ledger: {
        package: { type: 'archive', dir: join(one.dir, 'ledger') },
        manager: controlManager(join(one.dir, 'ledger'), ['/bin/sleep', '1000']),
        watch: '0s',
      },
    };
  });
  const legacy = (await readFile(SERVER, 'utf8')).replace(
    /JSON\.parse\(readFileSync\(.*\)\)/,
    behaviour('legacy'),
  );
  await writeFile(join(instance.dir, 'legacy.mjs'), legacy);
  await writeFile(join(instance.dir, 'legacy.jar'), runs(join(instance.dir, 'legacy.mjs')));
  const note = join(instance.dir, 'note.sh');
  const variables = [
    '$1',
    '$TRIGGER_DEPLOY_PREVIOUS',
    '$TRIGGER_DEPLOY_VERSION',
    '$TRIGGER_DEPLOY_ACTION',
    '$POOL',
  ];
  await writeFile(note, `#!/bin/sh\necho "${variables.join('|')}" >> ${instance.dir}/notes\n`);
  await chmod(note, 0o755);
});
afterAll(() => fleet?.stop());

/** The jar: a script that runs `server`. */
const runs = (server: string) => `exec ${process.execPath} "${server}" "$1"\n`;

/** Pushes a jar with the files of this environment beside it. */
async function push(version: string, more = {}) {
  const dir = join(fleet.dir, 'jars', version);
  await mkdir(dir, { recursive: true });
  const [jar, config] = [join(dir, `payments-${version}.jar`), join(dir, 'behaviour.json')];
  await writeFile(jar, scriptJar(runs('$(dirname "$0")/server.mjs')));
  await writeFile(config, behaviour(version, more));
  const env = join(dir, '.env');
  const spaced = join(dir, 'my settings.yml');
  await writeFile(env, `VERSION=${version}`);
  await writeFile(spaced, `version: ${version}`);
  const configs = [config, env, spaced, `${env}=config/app.env`].flatMap((path) => ['--config', path]);
  const pushed = await fleet.publisher('push', 'payments', version, jar, SERVER, ...configs);
  expect(pushed, pushed.stderr).toMatchObject({ code: 0 });
}

test('check finds nothing wrong', async () => {
  const result = await fleet.runAgentCommand(instance, 'check');
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  expect(result.stdout).toMatch(/ready to run/);
});

test('a first deploy that fails rolls back to the adopted version, which was never pushed', async () => {
  await push('1.0.0', { healthStatus: 500 });
  const result = await fleet.publisher('payments', '1.0.0', '--env', 'dev');
  expect(result.code).toBe(1);
  expect(result.stdout).toMatch(/rolled-back 1\.0\.0 back to legacy/);
  expect(await fleet.ask(instance)).toEqual({ status: 200, version: 'legacy' });
});

test('a version comes with its config files, .env and one with a space too, and the hooks know both versions', async () => {
  await push('1.1.0');
  const result = await fleet.publisher('payments', '1.1.0', '--env', 'dev');
  expect(result, result.stdout).toMatchObject({ code: 0 });
  expect(await fleet.ask(instance)).toEqual({ status: 200, version: '1.1.0' });
  const current = join(instance.dir, 'payments', 'current');
  expect(await readFile(join(current, '.env'), 'utf8')).toBe('VERSION=1.1.0');
  expect(await readFile(join(current, 'my settings.yml'), 'utf8')).toBe('version: 1.1.0');
  expect(await readFile(join(current, 'config', 'app.env'), 'utf8')).toBe('VERSION=1.1.0');
  const notes = (await readFile(join(instance.dir, 'notes'), 'utf8')).trim().split('\n');
  expect(notes).toEqual([
    'before|legacy|1.0.0|deploy|blue',
    'after|1.0.0|legacy|rollback|',
    'before|legacy|1.1.0|deploy|blue',
    'after|legacy|1.1.0|deploy|',
  ]);
});

test('two services are deployed side by side', async () => {
  await push('1.2.0');
  const archive = await fleet.pack('7.0.0');
  expect((await fleet.publisher('push', 'ledger', '7.0.0', archive)).code).toBe(0);
  const results = await Promise.all([
    fleet.publisher('payments', '1.2.0', '--env', 'dev'),
    fleet.publisher('ledger', '7.0.0', '--env', 'dev'),
  ]);
  expect(results.map((result) => result.code)).toEqual([0, 0]);
  const { stdout } = await fleet.publisher('status', '--env', 'dev');
  expect(stdout).toMatch(/payments i-0e5 1\.2\.0/);
  expect(stdout).toMatch(/ledger i-0e5 7\.0\.0/);
});

test('the agent’s own status shows what it runs, without AWS, as a table and as JSON', async () => {
  await fleet.stopAgent(instance);
  const table = await fleet.runAgentCommand(instance, 'status');
  expect(table.stdout).toMatch(/^payments +1\.2\.0 +active +3 ok +1\.1\.0$/m);
  expect(table.stdout).toMatch(/is NOT running/);
  const json = await fleet.runAgentCommand(instance, 'status', '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({
    instance: instance.id,
    agent: { running: false },
    queue: { name: `trigger-deploy-dev-${instance.id}`, reachable: true },
    services: [
      { service: 'payments', version: '1.2.0', state: 'succeeded', undelivered: 0 },
      { service: 'ledger', version: '7.0.0', state: 'succeeded', undelivered: 0 },
    ],
  });
});
