import { describe, expect, it } from 'vitest';
import { environmentOf, type Invocation, parseCommandLine } from '../../../../publisher/cli/parse.ts';
import type { TriggerDeployError } from '../../../../shared/errors.ts';
import { RESERVED_NAMES } from '../../../../shared/names.ts';

const ID = '01JDB2Q0V7M3N8T5R9XKZC4W6H';
const parse = (line: string) =>
  parseCommandLine(line.split(' ').filter(Boolean), {
    ...{ version: '9.9.9', columns: 100 },
    knowsService: async (name) => ['stats', 'payments2'].includes(name),
  });

async function refused(line: string): Promise<{ message: string; hint: string | undefined }> {
  try {
    await parse(line);
  } catch (error) {
    const { code, message, hint } = error as TriggerDeployError;
    expect(code).toBe('USAGE');
    expect(message).not.toContain('\n');
    return { message, hint };
  }
  throw new Error(`not refused: ${line}`);
}

describe('a valid command line', () => {
  it('deploys a version of a service, with its options', async () => {
    const line =
      'payments 1.10 --env dev --no-wait --timeout 90s --reason why --allow-missing 2 --max-failures 1 --on-failure stop';
    expect(await parse(line)).toEqual({
      verb: 'deploy',
      ...{ service: 'payments', version: '1.10', env: 'dev', verbose: false },
      ...{ noWait: true, timeout: 90_000, reason: 'why', allowMissing: 2, onFailure: 'stop' },
      ...{ maxFailures: { count: 1 }, confirm: false, queue: false, jump: false, skipChecks: false },
    });
    expect(await parse('payments latest -e dev')).toMatchObject({ version: 'latest', noWait: false });
  });

  it('takes a value as it is typed, with its quotes and leading dashes', async () => {
    const line = `payments 1.4.2 -e prd --where="a"="b" --where='=' --reason="x" --only=i-1`;
    expect(await parse(line)).toMatchObject({
      where: { '"a"': '"b"', "'": "'" },
      reason: '"x"',
      only: ['i-1'],
    });
    expect(await parse('payments 1.4.2 -e prd --reason=--despite-pause')).toMatchObject({
      reason: '--despite-pause',
    });
  });

  it('deploys in waves', async () => {
    const line =
      'payments 1.4.2 -e prd --canary 5% --batch 4 --auto-confirm 10m --pause-between 30s --max-failures 10% --where stack=pr-1 --where a=b=c --only i-1 --only i-2';
    expect(await parse(line)).toMatchObject({
      ...{ canary: { percent: 5 }, batch: { count: 4 }, autoConfirm: 600_000, pauseBetween: 30_000 },
      ...{ maxFailures: { percent: 10 }, where: { stack: 'pr-1', a: 'b=c' }, only: ['i-1', 'i-2'] },
    });
    expect(await parse('plan payments 1.4.2 --strategy rolling')).toMatchObject({ verb: 'plan' });
    expect(await parse(`confirm ${ID} --reason fine`)).toMatchObject({ verb: 'confirm', reason: 'fine' });
    expect(await parse('restart payments --batch 1')).toMatchObject({ verb: 'restart', batch: { count: 1 } });
    expect(await parse(`cancel ${ID}`)).toMatchObject({ verb: 'cancel' });
    expect(await parse(`resume ${ID} --allow-missing 1`)).toMatchObject({ verb: 'resume', allowMissing: 1 });
  });

  it('keeps versions that look like numbers as they are', async () => {
    for (const version of ['1.10', '007', '1e3', '0x10', '20260101']) {
      expect(await parse(`payments ${version}`)).toMatchObject({ version });
      expect(await parse(`rollback payments --to ${version}`)).toMatchObject({ to: version });
    }
  });

  it('pushes a package with config files, given as arguments or by --config', async () => {
    expect(
      await parse('push payments 1.4.2 --config a.yaml payments.jar b.yaml --config c.yaml -e dev'),
    ).toEqual({
      ...{ verb: 'push', service: 'payments', version: '1.4.2', env: 'dev', verbose: false },
      ...{ file: ['payments.jar', 'b.yaml'], config: ['a.yaml', 'c.yaml'], noWait: false, confirm: false },
      ...{ queue: false, jump: false, skipChecks: false },
    });
    expect(await parse('push payments 1.4.3 app.jar --deploy dev --canary 1 --queue')).toMatchObject({
      ...{ deploy: 'dev', canary: { count: 1 }, queue: true },
    });
  });

  it('promotes, with the options of a deployment', async () => {
    const line =
      'promote payments --from stg --to prd --version 1.4.2 --config a.yaml --config b.yaml --canary 1 --jump --reason why';
    const parsed = await parse(line);
    expect(parsed).toMatchObject({
      ...{ verb: 'promote', service: 'payments', from: 'stg', to: 'prd', version: '1.4.2' },
      ...{ config: ['a.yaml', 'b.yaml'], canary: { count: 1 }, jump: true, reason: 'why' },
    });
    expect(await parse('promote payments --from dev --to stg')).not.toHaveProperty('version');
    const named = async (line: string) => environmentOf((await parse(line)) as Invocation);
    expect(await named(line)).toBe('prd');
    expect(await named('push payments 1.4.3 app.jar --deploy dev')).toBe('dev');
    expect(await named('push payments 1.4.3 app.jar -e dev')).toBe('dev');
    expect(await named('push payments 1.4.3 app.jar')).toBeUndefined();
  });

  it('parses the other verbs', async () => {
    expect(await parse('status')).toMatchObject({ verb: 'status', all: false });
    expect(await parse('status payments --all')).toMatchObject({ service: 'payments', all: true });
    expect(await parse('status payments --output json')).toMatchObject({
      service: 'payments',
      output: 'json',
    });
    expect(await parse('history payments')).toMatchObject({ verb: 'history', limit: 20 });
    expect(await parse('history payments -n 5')).toMatchObject({ limit: 5, failed: false });
    expect(await parse('history payments --failed --since 7d')).toMatchObject({
      ...{ failed: true, since: { ago: 7 * 86_400_000 } },
    });
    expect(await parse(`show ${ID.toLowerCase()}`)).toMatchObject({ verb: 'show', deployment: ID });
    expect(await parse(`show ${ID} --instance i-1`)).toMatchObject({ deployment: ID, instance: 'i-1' });
    expect(await parse(`watch ${ID} --timeout 1h`)).toMatchObject({ verb: 'watch', timeout: 3_600_000 });
    expect(await parse('rollback payments')).toMatchObject({ verb: 'rollback', service: 'payments' });
    expect(await parse('keygen --out keys')).toMatchObject({ verb: 'keygen', out: 'keys', name: 'ci' });
  });

  it('answers --version, and --help with examples for the program and every verb', async () => {
    expect(await parse('--version')).toEqual({ verb: 'print', text: '9.9.9' });
    for (const verb of [
      '',
      'push',
      'promote',
      'rollback',
      'status',
      'history',
      'show',
      'watch',
      'plan',
      'confirm',
      'resume',
      'cancel',
      'keygen',
    ]) {
      const help = await parse(`${verb} --help`);
      expect(help).toMatchObject({
        verb: 'print',
        text: expect.stringMatching(/Examples:\n {2}trigger-deploy /),
      });
    }
  });
});

describe('a wrong command line is refused with one line that says why', () => {
  it.each([
    ['', 'missing arguments: <service> <version>'],
    ['payments', 'missing argument: <version>'],
    ['payments ../../etc --env dev', '"../../etc" cannot be a version: a version is letters, digits'],
    ['payments 1..2 --env dev', '"1..2" cannot be a version: a version has no ".."'],
    ['Payments 1.4.2', '"Payments" cannot be a service: a service name has a-z'],
    ['payments/x 1.4.2', '"payments/x" cannot be a service'],
    ['payments 1.4.2 --env ../prd', '"../prd" cannot be an environment: an environment name has 1 to 16'],
    ['payments 1.4.2 --env', '--env needs a value'],
    ['payments 1.4.2 -e dev -e prd', '--env is given more than once'],
    ['payments 1.4.2 --timeout 10', '--timeout expected a duration such as 30s'],
    ['payments 1.4.2 --timeout 0s', '--timeout expected a duration such as 30s'],
    ['payments 1.4.2 --allow-missing -1', '--allow-missing expected a whole number'],
    ['payments 1.4.2 --max-failures some', '--max-failures expected a number of instances or a percentage'],
    ['payments 1.4.2 --on-failure panic', '--on-failure expected rollback or stop'],
    ['payments 1.4.2 --output xml', '--output expected table, lines or json'],
    ['payments 1.4.2 --strategy blue-green', '--strategy expected all or rolling'],
    ['payments 1.4.2 --canary 0', '--canary expected a number of instances or a percentage'],
    ['payments 1.4.2 --batch 101%', '--batch expected a number of instances or a percentage'],
    ['payments 1.4.2 --where stack', '--where expected KEY=VALUE'],
    ['payments 1.4.2 --only i/1', '"i/1" cannot be an instance'],
    ['payments 1.4.2 --dry-run', 'unknown option: --dry-run'],
    ['payments 1.4.2 1.4.3', 'too many arguments: 1.4.3'],
    ['payments 1.4.2 -- --help', 'too many arguments: --help'],
    ['push payments latest app.jar', '"latest" cannot be a version: "latest" means the newest push'],
    ['push payments 1.4.2', 'missing argument: <file>'],
    ['status payments --no-wait', 'unknown option: --no-wait'],
    ['rollback payments --to ../x', '"../x" cannot be a version'],
    ['show payments', '"PAYMENTS" cannot be a deployment: a deployment id is a ULID'],
    ['history payments --since monday', '--since expected a duration such as 7d'],
    ['push payments 1.4.2 app.jar --canary 1', '--canary needs --deploy ENV: push alone deploys nothing'],
    ['push payments 1.4.2 app.jar --no-wait', '--no-wait needs --deploy ENV'],
    [
      'push payments 1.4.2 app.jar -e stg --deploy dev',
      '--deploy dev and --env stg name different environments',
    ],
    ['promote payments --from dev --to stg -e prd', '--to stg and --env prd name different environments'],
    ['promote payments --to stg', '--from is required'],
    ['promote payments --from dev', '--to is required'],
    ['promote payments --from dev --to stg --version latest', '"latest" cannot be a version'],
    ['promote payments --from dev --to stg --jump', '--jump needs --reason'],
    ['payments 1.4.2 --skip-checks', '--skip-checks needs --reason'],
    ['restart payments --skip-checks', '--skip-checks needs --reason'],
    ['push payments 1.4.2 a.jar --skip-checks --reason why', 'needs --deploy ENV'],
    ['pause --reason=', '--reason is empty'],
    ['pause --reason=\t', '--reason is empty'],
    ['status --all -e dev', '--all and --env cannot be combined'],
    ['history payments -n 0', '--limit expected a whole number, 1 or more'],
  ])('%s', async (line, message) => {
    expect((await refused(line)).message).toContain(message);
  });

  it('a verb or a reserved word is never read as a service', async () => {
    for (const verb of RESERVED_NAMES) {
      for (const line of [
        `push ${verb} 1.0 app.jar`,
        `status ${verb}`,
        `rollback ${verb}`,
        `-e dev ${verb} 1.0`,
      ]) {
        await parse(line).then(
          (parsed) => expect(parsed).toMatchObject({ verb: expect.not.stringMatching('deploy') }),
          (error) => expect(error).toMatchObject({ code: 'USAGE' }),
        );
      }
    }
    expect((await refused('gc payments 1.4.2')).message).toBe('too many arguments: 1.4.2');
    expect((await refused('deploy payments 1.4.2')).hint).toContain(
      'to deploy, type trigger-deploy payments 1.4.2 --env ENV',
    );
    expect((await refused('stauts')).hint).toContain('did you mean status?');
  });
});
