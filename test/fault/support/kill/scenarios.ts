import type { Ending } from '../../../../shared/states.ts';

/** What is announced to an agent in each scenario, and what may come of it, however often it is killed. */

/** The versions there are. */
export const GOOD = ['0.8.0', '0.9.0', '1.0.0', '1.1.0', '1.2.0'] as const;
export const BAD = '1.1.1';
/** Its download never gets further than half. */
export const STUCK = '1.1.2';
export const VERSIONS = [...GOOD, BAD, STUCK];

export type Announced =
  | { kind: 'deploy' | 'prepare'; id: string; version: string; sequence: number; gate?: string }
  | { kind: 'cancel'; id: string; sequence: number; gate?: string };

export interface Scenario {
  /** What the instance runs before: the last of a few good versions, or nothing. */
  runs: '1.0.0' | null;
  announced: readonly Announced[];
  desired?: { id: string; version: string; sequence: number };
  /** Files in `run` that make hooks behave badly. */
  flags?: readonly string[];
  /** By deployment: how it may end, and the states that it goes through up to that ending. */
  endings: Readonly<Record<string, Partial<Record<Ending, readonly string[]>>>>;
  /** What may run afterwards. */
  runsAfter: readonly (string | null)[];
  /** Whether the service may be restarted at all. */
  restarts: boolean;
}

const id = (last: string) => `01JZZZZZZZZZZZZZZZZZZZZZZ${last}`;
const A = id('A');
const B = id('B');

const TO_SWITCH = ['accepted', 'preparing', 'prepared', 'draining', 'switching'];
const FORWARD = [...TO_SWITCH, 'starting', 'checking', 'watching'];
const BACK = [...TO_SWITCH, 'starting', 'checking', 'back:switching', 'back:starting', 'back:checking'];
const succeeded = { succeeded: FORWARD };

const downloading = '"what":"stuck"';
const draining = '"what":"hook-begin","kind":"beforeStop"';
const prepared = '"state":"prepared"';

export const SCENARIOS = {
  succeeds: {
    runs: '1.0.0',
    announced: [{ kind: 'deploy', id: A, version: '1.1.0', sequence: 4 }],
    endings: { [A]: succeeded },
    runsAfter: ['1.1.0'],
    restarts: true,
  },
  'rolls back': {
    runs: '1.0.0',
    announced: [{ kind: 'deploy', id: A, version: BAD, sequence: 4 }],
    endings: { [A]: { 'rolled-back': BACK } },
    runsAfter: ['1.0.0'],
    restarts: true,
  },
  'first fails': {
    runs: null,
    announced: [{ kind: 'deploy', id: A, version: BAD, sequence: 4 }],
    endings: { [A]: { 'rolled-back': BACK.slice(0, -2) } },
    runsAfter: [null],
    restarts: true,
  },
  superseded: {
    runs: '1.0.0',
    announced: [
      { kind: 'deploy', id: A, version: STUCK, sequence: 4 },
      { kind: 'deploy', id: B, version: '1.2.0', sequence: 5, gate: downloading },
    ],
    endings: { [A]: { superseded: ['accepted', 'preparing'] }, [B]: succeeded },
    runsAfter: ['1.2.0'],
    restarts: true,
  },
  cancelled: {
    runs: '1.0.0',
    announced: [
      { kind: 'deploy', id: A, version: STUCK, sequence: 4 },
      { kind: 'cancel', id: A, sequence: 4, gate: downloading },
    ],
    endings: { [A]: { cancelled: ['accepted', 'preparing'] } },
    runsAfter: ['1.0.0'],
    restarts: false,
  },
  'cancelled while draining': {
    runs: '1.0.0',
    announced: [
      { kind: 'deploy', id: A, version: '1.1.0', sequence: 4 },
      { kind: 'cancel', id: A, sequence: 4, gate: draining },
    ],
    flags: ['hang-drain'],
    endings: { [A]: { cancelled: TO_SWITCH.slice(0, -1) } },
    runsAfter: ['1.0.0'],
    restarts: false,
  },
  'cancel came first': {
    runs: '1.0.0',
    announced: [
      { kind: 'cancel', id: A, sequence: 4 },
      { kind: 'deploy', id: A, version: '1.1.0', sequence: 4 },
    ],
    endings: { [A]: { cancelled: [] } },
    runsAfter: ['1.0.0'],
    restarts: false,
  },
  duplicate: {
    runs: '1.0.0',
    announced: [
      { kind: 'deploy', id: A, version: '1.1.0', sequence: 4 },
      { kind: 'deploy', id: A, version: '1.1.0', sequence: 4, gate: draining },
    ],
    endings: { [A]: succeeded },
    runsAfter: ['1.1.0'],
    restarts: true,
  },
  converges: {
    runs: '1.0.0',
    announced: [],
    desired: { id: A, version: '1.1.0', sequence: 4 },
    endings: { [A]: succeeded },
    runsAfter: ['1.1.0'],
    restarts: true,
  },
  'prepared first': {
    runs: '1.0.0',
    announced: [
      { kind: 'prepare', id: A, version: '1.1.0', sequence: 4 },
      { kind: 'deploy', id: A, version: '1.1.0', sequence: 4, gate: prepared },
    ],
    endings: { [A]: succeeded },
    runsAfter: ['1.1.0'],
    restarts: true,
  },
  // The hook fails once. Killed before that is on record, the agent tries it again, and then it works.
  'drain fails': {
    runs: '1.0.0',
    announced: [{ kind: 'deploy', id: A, version: '1.1.0', sequence: 4 }],
    flags: ['fail-drain'],
    endings: { [A]: { failed: TO_SWITCH.slice(0, -1), ...succeeded } },
    runsAfter: ['1.0.0', '1.1.0'],
    restarts: true,
  },
} as const satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof SCENARIOS;
