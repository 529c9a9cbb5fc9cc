import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import type { Hook } from '../../../../../agent/deploy/ports.ts';
import { createReadiness, type ReadinessOptions } from '../../../../../agent/host/services/readiness.ts';
import { parseFacts } from '../../../../../agent/host/services/unit-problems.ts';
import { calm } from '../../../../support/host/clock.ts';
import { programsOnPath, temporaryDirectory } from '../../../../support/host/temporary.ts';
import { proved } from '../../../../support/reliability.ts';

/** What a deployment needs on an instance besides its package, looked at before anything stops. */

const LOADED = 'LoadState=loaded\nType=simple\nRemainAfterExit=no\nTransient=no\n';
const of = (text: string, installsUnit = false) => parseFacts('pay.service', text, installsUnit).findings;

test.each([
  ['masked', 'LoadState=masked', 'pay.service is masked'],
  ['missing', 'LoadState=not-found', 'pay.service does not exist'],
  ['badly written', 'LoadState=bad-setting', 'pay.service cannot be loaded: bad-setting'],
  ['unreadable', 'LoadState=error', 'pay.service cannot be loaded: error'],
  ['RefuseManualStop', `${LOADED}RefuseManualStop=yes`, 'RefuseManualStop=yes: it cannot be restarted'],
  ['RefuseManualStart', `${LOADED}RefuseManualStart=yes`, 'RefuseManualStart=yes: it cannot be restarted'],
  ['transient', LOADED.replace('Transient=no', 'Transient=yes'), 'is a transient unit'],
  ['a oneshot', LOADED.replace('simple', 'oneshot'), 'is a oneshot unit: it runs and ends'],
])('a unit that is %s cannot be deployed to', (_kind, text, problem) => {
  expect(of(text)).toEqual([
    { ok: false, what: expect.stringContaining(problem), hint: expect.stringMatching(/./) },
  ]);
  proved('not-ready', 'units that are masked, missing, badly written, or may not be restarted');
});

test('a loaded unit has no problem, nor has a oneshot that remains active', () => {
  expect(of(LOADED)).toEqual([]);
  expect(of(LOADED.replace('simple', 'oneshot').replace('Exit=no', 'Exit=yes'))).toEqual([]);
});

test('a unit of the package may be missing or badly written, for the package repairs it; it may not be masked', () => {
  expect(of('LoadState=not-found', true)).toEqual([]);
  expect(of('LoadState=bad-setting', true)).toEqual([]);
  expect(of('LoadState=masked', true)).toMatchObject([{ ok: false }]);
});

test('a unit file that was changed and not loaded is a warning with the command to run', () => {
  expect(of(`${LOADED}NeedDaemonReload=yes`)).toEqual([
    { ok: true, what: expect.stringContaining('was changed'), hint: 'systemctl daemon-reload' },
  ]);
});

const hook = (program: string, user?: string): Hook => ({
  run: [program],
  timeout: 1000,
  user,
  environment: {},
});

async function inspect(more: Partial<ReadinessOptions>, version: string | null = '1.0') {
  const dir = await temporaryDirectory();
  const readiness = createReadiness({
    service: 'pay',
    manager: { commands: [] },
    hooks: { beforeStop: [], afterStart: [] },
    checks: [],
    installsUnit: false,
    current: join(dir, 'current'),
    release: (one) => join(dir, 'releases', one),
    ...more,
  });
  return (await readiness.inspect(version, calm)).map(({ ok, what }) => `${ok ? 'ok' : 'no'}: ${what}`);
}

/** A program in a directory of the test. */
async function program(text: string, mode = 0o755): Promise<string> {
  const path = join(await temporaryDirectory(), 'program');
  await writeFile(path, text);
  await chmod(path, mode);
  return path;
}

test('a hook that is missing, a directory, not executable or without its interpreter is a problem', async () => {
  const good = await program('#!/bin/sh\nexit 0\n');
  const plain = await program('exit 0\n', 0o644);
  const crlf = await program('#!/bin/sh\r\nexit 0\r\n');
  const afterStart = ['/nowhere/undrain', dirname(good), plain, crlf, good].map((path) => hook(path));
  expect(await inspect({ hooks: { beforeStop: [], afterStart } })).toEqual([
    'no: afterStart hook: /nowhere/undrain does not exist',
    `no: afterStart hook: ${dirname(good)} is not a program`,
    `no: afterStart hook: ${plain} cannot be executed by the user of the agent`,
    `no: afterStart hook: ${crlf} needs "/bin/sh\\r", which does not exist`,
  ]);
  proved('not-ready', 'hooks that are missing, not executable or without their interpreter');
});

test('a hook in the release is looked for in the release: after the start in the new one, before the stop in current', async () => {
  const dir = await temporaryDirectory();
  const path = join(dir, 'current', 'bin', 'hook');
  const make = async (root: string) => {
    await mkdir(join(root, 'bin'), { recursive: true });
    await writeFile(join(root, 'bin', 'hook'), '#!/bin/sh\n', { mode: 0o755 });
  };
  const places = {
    current: join(dir, 'current'),
    release: (version: string) => join(dir, 'releases', version),
  };
  const hooks = { beforeStop: [hook(path)], afterStart: [hook(path)] };
  await make(places.current);
  await mkdir(places.release('1.0'), { recursive: true });
  expect(await inspect({ ...places, hooks })).toEqual([
    `no: afterStart hook: ${places.release('1.0')}/bin/hook does not exist`,
  ]);
  await make(places.release('1.0'));
  expect(await inspect({ ...places, hooks })).toEqual([]);
});

test('the user and the program of a check and of a manager’s command must exist', async () => {
  const good = await program('#!/bin/sh\n');
  const timing = { successes: 1, deadline: 1000, timeout: 1000 };
  const checks = [
    { kind: 'command' as const, run: ['/nowhere/check-{version}'], user: undefined, ...timing },
    { kind: 'command' as const, run: [good], user: 'nobody-of-this-name', ...timing },
  ];
  const manager = { commands: [{ what: 'status command', program: '/nowhere/status' }] };
  expect(await inspect({ manager, checks })).toEqual([
    'no: status command: /nowhere/status does not exist',
    'no: check /nowhere/check-{version}: /nowhere/check-1.0 does not exist',
    `no: check ${good}: there is no user nobody-of-this-name`,
  ]);
  // `check` does not know a version.
  expect(await inspect({ checks: checks.slice(0, 1) }, null)).toEqual([]);
  proved('not-ready', 'users and programs of checks and managers that do not exist');
});

test('a program that the package brings may be missing', async () => {
  const asked: unknown[] = [];
  const brings = async (version: string | null, path: string) => {
    asked.push([version, path]);
    return path.endsWith('brought');
  };
  const hooks = { beforeStop: [], afterStart: [hook('/nowhere/brought'), hook('/nowhere/other')] };
  expect(await inspect({ hooks, brings })).toEqual(['no: afterStart hook: /nowhere/other does not exist']);
  expect(asked).toEqual([
    ['1.0', '/nowhere/brought'],
    ['1.0', '/nowhere/other'],
  ]);
});

test('the unit, the user and the program that it starts, and the unit of a check are looked at', async () => {
  await programsOnPath({
    systemctl: `case "$2" in
pay.service) printf '%s\\n' LoadState=loaded Type=simple User=nobody-of-this-name DynamicUser=no
  echo 'ExecStart={ path=/opt/nowhere/java ; argv[]=/opt/nowhere/java -jar x ; ignore_errors=no ; start_time=[n/a] }' ;;
*) echo LoadState=not-found ;;
esac`,
  });
  const timing = { successes: 1, deadline: 1000, timeout: 1000 };
  const checks = [{ kind: 'systemd' as const, unit: 'pay-worker.service', ...timing }];
  const found = await inspect({ manager: { unit: 'pay.service' }, checks });
  expect(found).toContain('no: pay.service: there is no user nobody-of-this-name');
  expect(found).toContain('no: pay-worker.service does not exist');
  if (process.getuid?.() === 0) {
    expect(found).toContain('no: ExecStart= of pay.service: /opt/nowhere/java does not exist');
  }
});

test.each([
  ['masked, for nothing could start it again', 'LoadState=masked', false, ['is masked and runs']],
  [
    'that cannot be stopped while dpkg replaces files',
    'RefuseManualStop=yes',
    true,
    ['has RefuseManualStop=yes'],
  ],
  ['that cannot be stopped, where it stays up', 'RefuseManualStop=yes', false, []],
])('a socket that is up and %s', async (_kind, line, installsUnit, problems) => {
  await programsOnPath({
    systemctl: `case "$*" in
*pay.socket) printf '%s\\n' ActiveState=active ${line} ;;
*) printf '%s\\n' LoadState=loaded Type=simple TriggeredBy=pay.socket ;;
esac`,
  });
  const found = await inspect({ manager: { unit: 'pay.service' }, installsUnit });
  expect(found).toEqual(
    problems.map((one) => expect.stringContaining(`no: pay.socket, which starts pay.service, ${one}`)),
  );
});
