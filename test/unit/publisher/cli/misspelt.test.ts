import { describe, expect, it } from 'vitest';
import { parseCommandLine } from '../../../../publisher/cli/parse.ts';
import { NAMES } from '../../../../publisher/cli/verbs.ts';
import type { TriggerDeployError } from '../../../../shared/errors.ts';

const ID = '01JDB2Q0V7M3N8T5R9XKZC4W6H';
const CONFIGURED = ['batch', 'payments2'];
const asked: string[] = [];
const parse = async (line: string) =>
  await parseCommandLine(line.split(' ').filter(Boolean), {
    ...{ version: '9.9.9', columns: 100 },
    async knowsService(name) {
      asked.push(name);
      return CONFIGURED.includes(name);
    },
  });
const refusal = async (line: string) =>
  await parse(line).then(
    () => expect.fail(`not refused: ${line}`),
    ({ code, message, hint }: TriggerDeployError) => ({ code, message, hint }),
  );

describe('a misspelt command is a usage error that names the nearest command', () => {
  it.each([
    ['histroy payments', 'history'],
    ['histroy', 'history'],
    ['shwo payments', 'show'],
    [`shwo ${ID}`, 'show'],
    [`wacth ${ID.toLowerCase()} --timeout 10m`, 'watch'],
    ['rolback payments --to 1.4.0', 'rollback'],
    ['roll-back payments', 'rollback'],
    ['-e dev stauts payments', 'status'],
    ['psuh payments 1.4.2 app.jar', 'push'],
    ['paln payments 1.4.2', 'plan'],
    ['hist payments', 'history'],
    ['Status', 'status'],
    ['STATUS payments', 'status'],
    ['History payments 1.4.2', 'history'],
    ['rolback payments2', 'rollback'],
  ])('%s', async (line, meant) => {
    const { code, message, hint } = await refusal(line);
    const word = line.split(' ').find((one) => one !== '-e' && one !== 'dev');
    expect({ code, message }).toEqual({ code: 'USAGE', message: `unknown command: ${word}` });
    expect(hint?.startsWith(`did you mean ${meant}?`)).toBe(true);
  });

  it('says what to type instead of deploy', async () => {
    expect(await refusal('deploy payments 1.4.2')).toEqual({
      code: 'USAGE',
      message: 'unknown command: deploy',
      hint: 'to deploy, type trigger-deploy payments 1.4.2 --env ENV',
    });
    expect(await refusal('depoly payments 1.4.2')).toMatchObject({
      message: 'unknown command: depoly',
      hint: 'to deploy, type trigger-deploy payments 1.4.2 --env ENV',
    });
    expect((await refusal('help')).hint).toBe('trigger-deploy --help lists the commands');
  });

  it('says how to deploy a service of that name, where a service can have it', async () => {
    expect((await refusal('histroy payments')).hint).toBe(
      'did you mean history? To deploy a service of that name: trigger-deploy -- histroy VERSION --env ENV',
    );
    expect((await refusal('Status')).hint).toBe('did you mean status?');
  });

  it('as an option is an unknown option', async () => {
    expect(await refusal('--histroy payments')).toMatchObject({
      message: 'unknown option: --histroy',
      hint: 'did you mean the command history?',
    });
    expect(await refusal('payments 1.4.2 --tiemout 10m')).toMatchObject({
      message: 'unknown option: --tiemout',
      hint: 'did you mean --timeout?',
    });
  });
});

describe('a service whose name resembles a command is deployed', () => {
  it.each([
    ['statsu 1.4.2', 'statsu', '1.4.2'],
    ['stats v3', 'stats', 'v3'],
    ['stats latest', 'stats', 'latest'],
    ['match build-4711', 'match', 'build-4711'],
    ['match release_candidate', 'match', 'release_candidate'],
  ])('when a version follows: %s', async (line, service, version) => {
    expect(await parse(line)).toMatchObject({ verb: 'deploy', service, version });
  });

  it('when the config names the service', async () => {
    expect(await parse('batch main')).toMatchObject({ verb: 'deploy', service: 'batch', version: 'main' });
    expect(await refusal('batch')).toMatchObject({ message: 'missing argument: <version>' });
    expect(await refusal('match main')).toMatchObject({ message: 'unknown command: match' });
  });

  it('after --, whatever its name and version', async () => {
    for (const line of ['-- match main', '-e dev -- match main', '-- match main --env dev']) {
      expect(await parse(line)).toMatchObject({ verb: 'deploy', service: 'match', version: 'main' });
    }
    expect((await refusal('-- status 1.4.2')).message).toContain('"status" cannot be a service');
  });
});

it('the config is not read for a name that resembles no command', async () => {
  asked.length = 0;
  expect(await parse('payments main')).toMatchObject({ service: 'payments', version: 'main' });
  expect(await parse('history payments')).toMatchObject({ verb: 'history' });
  expect(asked).toEqual([]);
});

it('no command can be the name of a service', async () => {
  for (const name of NAMES) {
    expect((await refusal(`status ${name}`)).message).toContain(`"${name}" cannot be a service`);
  }
});
