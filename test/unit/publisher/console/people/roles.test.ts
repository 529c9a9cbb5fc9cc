import { describe, expect, it } from 'vitest';
import { openConsolePorts } from '../../../../../publisher/cli/console-ports.ts';
import type { Options } from '../../../../../publisher/cli/option-kinds.ts';
import { common } from '../../../../../publisher/cli/option-sets.ts';
import type { Row } from '../../../../../publisher/cli/verb.ts';
import { VERBS } from '../../../../../publisher/cli/verbs.ts';
import { consoleInFile } from '../../../../../publisher/config/schema-console.ts';
import {
  grantsOf,
  isDecidedOption,
  isDecidedVerb,
  mayRun,
} from '../../../../../publisher/console/people/roles.ts';
import { isGranted, type Permission } from '../../../../../publisher/console/permissions.ts';
import type { Command } from '../../../../../publisher/console/ports.ts';
import type { Person } from '../../../../../publisher/record/origin.ts';

const onPage = Object.entries(VERBS as Record<string, Row>).filter(([, row]) => row.onPage !== undefined);

const rules = consoleInFile.shape.allow.unwrap().parse([
  { who: '*@acme.com', env: ['dev'], may: ['look'] },
  { who: 'ann@acme.com', may: ['look', 'deploy', 'rollback', 'restart', 'confirm', 'cancel'] },
  { who: 'ann@acme.com', may: ['pause', 'unpause'] },
  {
    who: 'bob@acme.com',
    env: ['prd'],
    service: ['web'],
    may: ['look', 'deploy', 'rollback', 'pause', 'confirm'],
  },
  { who: 'group:release', env: ['prd'], may: ['look', 'deploy', 'jump', 'confirm', 'unpause', 'rollback'] },
  { who: 'group:blind', env: ['prd'], may: ['deploy'] },
  { who: 'robot@acme.com', may: ['look', 'deploy', 'confirm'] },
]);

const person = (name: string, more: Partial<Person> = {}): Person => ({
  ...{ name, via: 'deploys.acme.com', groups: [], isMachine: false },
  ...more,
});
const ann = person('ann@acme.com');
const bob = person('Bob@Acme.com');
const cat = person('cat@acme.com');
const dan = person('dan@other.com', { groups: ['release'] });
const eve = person('eve@acme.com.evil.com');
const blind = person('x@other.com', { groups: ['blind'] });
const robot = person('robot@acme.com', { isMachine: true });
const unnamed = person('unnamed 17', { groups: ['release'], mayOnlyLook: true });

const command = (verb: string, env?: string, service?: string, values: Command['values'] = {}): Command => ({
  ...{ verb, env, service, deployment: undefined, values, argv: [], follows: false, group: 'deploy' },
  ...{ effect: 'signs', notOnPage: undefined },
});
const may = (who: Person, ...of: Parameters<typeof command>) =>
  mayRun(rules, who, command(...of)) === undefined;

describe('roles', () => {
  it('every verb and every option that the page may run has been decided on', () => {
    expect(onPage.length).toBeGreaterThan(10);
    expect(onPage.map(([verb]) => verb).filter((verb) => !isDecidedVerb(verb))).toEqual([]);
    const options = onPage.flatMap(([, row]) =>
      Object.entries<Options[string]>({ ...common, ...row.options })
        .filter(
          ([, { atTerminal, completes }]) => !atTerminal && completes !== 'file' && completes !== 'directory',
        )
        .map(([name]) => name),
    );
    expect(options.filter((name) => !isDecidedOption(name))).toEqual([]);
  });

  it.each([
    ['web 1.4.2 --env=prd --canary=1 --batch=25% --confirm --queue --only=i-0a1b2c3d --reason=x', true],
    ['web 1.4.2 --env=prd --where=a=b --skip-checks --reason=x --allow-missing=1 --timeout=5m', true],
    ['web 1.4.2 --env=prd --jump --reason=x', false],
    ['promote web --from=dev --to=prd', false],
    ['rollback web --env=prd --to=1.4.1', true],
    ['rollback web --env=prd --despite-pause --reason=x', false],
    ['history web --env=prd --limit=5 --failed --since=7d', true],
    ['history web --env=dev', false],
    ['pause web --env=prd --reason=x', true],
    ['pause --env=prd --reason=x', false],
    ['confirm 01JDB2Q0V7M3N8T5R9XKZC4W6H --env=prd', false],
    ['status --all', false],
  ])('%s: with permissions for web in prd alone, %s', async (line, expected) => {
    const only = consoleInFile.shape.allow
      .unwrap()
      .parse([
        { who: '*', env: ['prd'], service: ['web'], may: ['look', 'deploy', 'rollback', 'pause', 'confirm'] },
      ]);
    const { commandLine } = openConsolePorts({ cwd: '/', home: '/', variables: {}, file: '/none.yaml' });
    expect(mayRun(only, bob, await commandLine.parse(line.split(' '))) === undefined).toBe(expected);
  });

  it('a verb and an option that nobody decided on are refused to everybody', () => {
    expect(may(ann, 'shutdown', 'dev', 'web')).toBe(false);
    expect(may(ann, 'constructor', 'dev', 'web')).toBe(false);
    expect(may(ann, 'deploy', 'dev', 'web', { force: true })).toBe(false);
    expect(may(ann, 'deploy', 'dev', 'web', { toString: true })).toBe(false);
    expect(may(ann, 'deploy', 'dev', 'web', { force: false, other: undefined, list: [] })).toBe(true);
  });

  // Whether ann, bob, cat, dan (of the group release), the robot and a token without a name may.
  const TABLE: [string, string, string | undefined, string][] = [
    ['deploy', 'dev', 'web', 'ann robot'],
    ['deploy', 'prd', 'web', 'ann bob dan robot'],
    ['deploy', 'prd', 'pay', 'ann dan robot'],
    ['rollback', 'prd', 'web', 'ann bob dan'],
    ['rollback', 'dev', 'web', 'ann'],
    ['restart', 'prd', 'web', 'ann'],
    ['resume', 'prd', 'web', 'ann bob dan robot'],
    ['resume', 'prd', undefined, 'ann dan robot'],
    ['confirm', 'prd', 'web', 'ann bob dan'],
    ['confirm', 'prd', undefined, 'ann dan'],
    ['confirm', 'dev', 'web', 'ann'],
    ['cancel', 'prd', 'web', 'ann'],
    ['pause', 'prd', 'web', 'ann bob'],
    ['pause', 'prd', undefined, 'ann'],
    ['unpause', 'prd', 'web', 'ann dan'],
    ['unpause', 'prd', undefined, 'ann dan'],
    ['status', 'dev', 'web', 'ann bob cat robot'],
    ['status', 'prd', 'web', 'ann bob dan robot unnamed'],
    ['status', 'prd', undefined, 'ann dan robot unnamed'],
    ['history', 'prd', 'pay', 'ann dan robot unnamed'],
    ['plan', 'dev', 'pay', 'ann bob cat robot'],
    ['versions', 'prd', 'pay', 'ann dan robot unnamed'],
    ['show', 'prd', undefined, 'ann dan robot unnamed'],
  ];
  const people = { ann, bob, cat, dan, eve, robot, unnamed };
  it.each(TABLE)('%s in %s of %s: %s', (verb, env, service, expected) => {
    const allowed = Object.entries(people).filter(([, who]) => may(who, verb, env, service));
    expect(allowed.map(([name]) => name).join(' ')).toBe(expected);
  });

  it('every verb is in the table', () => {
    const tried = new Set([...TABLE.map(([verb]) => verb), 'promote']);
    expect(onPage.map(([verb]) => verb).filter((verb) => !tried.has(verb))).toEqual([]);
  });

  it('--jump needs jump, and --despite-pause needs unpause', () => {
    expect(may(bob, 'deploy', 'prd', 'web', { jump: true })).toBe(false);
    expect(may(dan, 'deploy', 'prd', 'web', { jump: true })).toBe(true);
    expect(may(bob, 'rollback', 'prd', 'web', { despitePause: true })).toBe(false);
    expect(may(dan, 'rollback', 'prd', 'web', { despitePause: true })).toBe(true);
  });

  it('promote needs a look at the environment that the version comes from', () => {
    expect(may(dan, 'promote', 'prd', 'web', { from: 'stg', to: 'prd' })).toBe(false);
    expect(may(ann, 'promote', 'prd', 'web', { from: 'stg', to: 'prd' })).toBe(true);
    expect(may(ann, 'promote', 'prd', 'web', { to: 'prd' })).toBe(false);
    expect(may(cat, 'promote', 'prd', 'web', { from: 'dev', to: 'prd' })).toBe(false);
  });

  it('what looks into every environment is for those who may look everywhere', () => {
    expect(may(ann, 'status', undefined, undefined, { all: true })).toBe(true);
    expect(may(ann, 'versions', 'prd', 'web', { all: true })).toBe(true);
    for (const who of [bob, cat, dan]) {
      expect(may(who, 'status', undefined, undefined, { all: true })).toBe(false);
      expect(may(who, 'versions', 'prd', 'web', { all: true })).toBe(false);
    }
  });

  it('nobody acts without an environment, or where they may not look', () => {
    expect(may(ann, 'deploy', undefined, 'web')).toBe(false);
    expect(may(blind, 'deploy', 'prd', 'web')).toBe(false);
  });

  it('a program may not confirm, and a token without a name may only look', () => {
    expect(mayRun(rules, robot, command('confirm', 'prd', 'web'))?.error.message).toContain(
      'a person confirms',
    );
    const { error } = mayRun(rules, unnamed, command('deploy', 'prd', 'web')) ?? {};
    expect(error?.message).toContain('does not say who it is');
    expect(grantsOf(rules, unnamed)).toEqual([{ env: ['prd'], may: ['look'] }]);
  });

  it('an address is compared as a whole, ASCII letters in either case, and no other letter becomes one of them', () => {
    const look = (name: string) =>
      isGranted(grantsOf(rules, person(name)), 'look' as Permission, 'dev', 'web');
    expect(['x@acme.com', 'X@ACME.com'].map(look)).toEqual([true, true]);
    const strangers = [
      'x@acme.com.evil.com',
      'x@acme.com@evil.com',
      'x@evil@acme.com',
      '@acme.com',
      'acme.com',
      'x@sub.acme.com',
      'x@acme.com ',
      'eve @acme.com',
    ];
    expect(strangers.filter(look)).toEqual([]);
    const kim = consoleInFile.shape.allow.unwrap().parse([{ who: 'kim@acme.com', may: ['look'] }]);
    expect(grantsOf(kim, person('KIM@acme.com'))).toHaveLength(1);
    expect(grantsOf(kim, person('\u212aim@acme.com'))).toEqual([]);
    expect(grantsOf(rules, person('unnamed x@acme.com', { mayOnlyLook: true }))).toEqual([]);
  });
});
