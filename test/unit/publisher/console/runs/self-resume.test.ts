import { describe, expect, it } from 'vitest';
import type { Cell, LiveMessage } from '../../../../../publisher/console/api.ts';
import {
  candidatesIn,
  resumeByItself,
  standsStill,
} from '../../../../../publisher/console/runs/self-resume.ts';
import type { DeploymentRecord } from '../../../../../publisher/record/deployment-schema.ts';
import type { LockView } from '../../../../../publisher/record/lock.ts';
import { HandClock } from '../../../../support/publisher/stage.ts';

const deployment = '01M70000000000000000000000';
const from = { user: 'root', host: 'deploys-a', via: 'deploys.acme.com' };
const record = (change: object = {}) =>
  ({ deployment, status: 'announced', from, rolling: {}, ...change }) as unknown as DeploymentRecord;
const lock = (state: LockView['state']): LockView => ({ state, sequence: 7, owner: null, dead: false });
const driver = (state: 'held' | 'stale' | 'none') => ({ driver: { state }, deployment });
const cell = (change: object): LiveMessage => ({
  ...{ type: 'cells', at: 0, gone: [] },
  cells: [{ env: 'prd', service: 'payments', ...change } as unknown as Cell],
});

describe('what stands still', () => {
  it.each([
    ['its console gave no heartbeat for 60 s', record(), 'stale', true],
    ['its console let go of it', record(), 'free', true],
    ['somebody drives it', record(), 'held', false],
    ['a terminal began it', record({ from: { user: 'ann', host: 'desk' } }), 'stale', false],
    ['a person continued it in a terminal, and left it', record({ resumedBy: 'ann@desk' }), 'free', false],
    [
      'another console continued it',
      record({ resumedBy: 'console@deploys-b', resumedVia: 'deploys-b' }),
      'free',
      true,
    ],
    [
      'a terminal began it, a console continued it',
      record({ from: { user: 'ann', host: 'desk' }, resumedBy: 'bob', resumedVia: 'deploys.acme.com' }),
      'stale',
      true,
    ],
    ['it has succeeded', record({ status: 'succeeded' }), 'free', false],
    ['it has timed out', record({ status: 'timed-out' }), 'free', false],
    ['its rollback has not begun', record({ status: 'failed', rollBackTo: '1.0.0' }), 'stale', true],
    [
      'its rollback has begun',
      record({ status: 'failed', rollBackTo: '1', rolledBackBy: 'x' }),
      'free',
      false,
    ],
  ] as const)('%s', (_why, value, state, expected) => {
    expect(standsStill(value, lock(state))).toBe(expected);
  });

  it('is looked for in the cells that nobody drives, and in the last failures', () => {
    expect(candidatesIn(cell({ underWay: driver('held') }))).toEqual([]);
    expect(candidatesIn(cell({}))).toEqual([]);
    const found = [{ env: 'prd', service: 'payments', deployment }];
    expect(candidatesIn(cell({ underWay: driver('stale') }))).toEqual(found);
    expect(candidatesIn(cell({ lastFailure: { deployment } }))).toEqual(found);
  });
});

/** A console that sees `messages`, and where `resume` answers so. */
function consoleThat(
  answer: object,
  value = record(),
  { key }: { key: string | undefined } = { key: 'key' },
) {
  const started: { argv: readonly string[]; person: object; confirmsEmpty: boolean }[] = [];
  const logged: object[] = [];
  const stop = new AbortController();
  const clock = new HandClock();
  let show: (message: LiveMessage) => void = () => undefined;
  const told = (message: LiveMessage) => ({ message, text: () => '' });
  let isLooking = true;
  const ended = resumeByItself(
    {
      environments: {
        names: async () => ['prd'],
        load: async () => ({ signingKey: key }) as never,
        look: async () =>
          ({
            record: {
              locks: { look: async () => lock('stale') },
              deployments: { read: async () => ({ value }) },
            },
          }) as never,
      },
      looks: { overview: () => async () => ({ snapshot: () => cell({}) }) },
      watches: {
        async join(_key, _open, hear) {
          show = (message) => hear(told(message));
          const leave = () => {
            isLooking = false;
          };
          return { snapshot: () => told(cell({})), leave };
        },
      },
      runs: {
        async start(request) {
          started.push(request);
          return answer as never;
        },
      },
      commands: { parse: async (argv) => ({ verb: 'resume', argv }) as never },
      host: 'deploys-b',
      log: (entry) => logged.push(entry),
      clock,
    },
    stop.signal,
  );
  const turn = () => new Promise(setImmediate);
  return {
    ...{ started, logged, clock, turn },
    async see(message: LiveMessage) {
      await turn();
      show(message);
      await turn();
    },
    async end() {
      stop.abort();
      await ended;
      return isLooking;
    },
  };
}

describe('a console with resume: true', () => {
  it('continues it as itself, once, and can confirm nothing', async () => {
    const { started, logged, see, end } = consoleThat({ status: 202, json: { run: {} } });
    await see(cell({ underWay: driver('stale') }));
    await see(cell({ underWay: driver('stale') }));
    expect(started).toMatchObject([
      {
        argv: ['resume', deployment, '--env=prd'],
        person: { name: 'console@deploys-b', isMachine: true },
        confirmsEmpty: false,
      },
    ]);
    expect(logged).toMatchObject([{ env: 'prd', deployment, resumed: true }]);
    expect(await end()).toBe(false);
  });

  it('is quiet where another console was faster, and says why else it could not', async () => {
    const faster = consoleThat({ status: 409, json: { error: { code: 'LOCKED', message: 'x' } } });
    await faster.see(cell({ underWay: driver('stale') }));
    expect([faster.started.length, faster.logged]).toEqual([1, []]);
    const unable = consoleThat({
      status: 400,
      json: { error: { code: 'CONFIG_INVALID', message: 'verify' } },
    });
    await unable.see(cell({ underWay: driver('stale') }));
    expect(unable.logged).toMatchObject([{ resumed: false, text: 'verify' }]);
    const triesAfter = async (ms: number) => {
      unable.clock.advance(ms);
      await unable.turn();
      return unable.started.length;
    };
    expect(await triesAfter(30_000)).toBe(1);
    expect(await triesAfter(40_000)).toBe(2);
    expect(await triesAfter(60_000)).toBe(2);
    expect(await triesAfter(70_000)).toBe(3);
    await Promise.all([faster.end(), unable.end()]);
  });

  it('leaves alone what a terminal began, and everything where it has no key', async () => {
    const terminal = consoleThat({}, record({ from: { user: 'ann', host: 'desk' } }));
    const keyless = consoleThat({}, record(), { key: undefined });
    for (const one of [terminal, keyless]) {
      await one.see(cell({ underWay: driver('none') }));
      expect([one.started, one.logged]).toEqual([[], []]);
      await one.end();
    }
  });
});
