import type { InstanceRecord, Report } from '../../shared/report.ts';
import type { PublisherEvent } from '../events.ts';
import type { PastDeployment } from '../record/local-deployment.ts';
import type { Grant } from './permissions.ts';

/**
 * What the console's server and its page say to each other, as JSON. Types only: the page imports this file. Times are
 * ms since the epoch. What is optional is left out where there is none.
 *
 * | request | answer |
 * | --- | --- |
 * | POST /api/session `{ key }` | `{ session }`: on loopback, the key of the address for a key of the session, once |
 * | POST /api/end | ends all sessions of this process |
 * | GET /api/config | `ConfigView` |
 * | GET /api/live?about=overview, about=service&service=S, about=deployment&env=E&service=S&deployment=ID | a stream of `LiveMessage` |
 * | GET /api/history?env=E&service=S&since=7d&only=failed&before=ID&limit=N | `HistoryView`; all are optional |
 * | GET /api/standing?at=MS&service=S | `StandingView` |
 * | GET /api/find?deployment=ID | `{ env, service }` |
 * | GET /api/report?env=E&service=S&deployment=ID&instance=I | `Report`, with its whole log tail |
 * | POST /api/run `{ argv, run, confirmsEmpty }` | `RunAnswer`; `run` is an id that the page made (8 to 64 of A-Z a-z 0-9 _ -): the same id again is the same run. `confirmsEmpty: true`: the person agrees to deploy where no instance is yet; it counts from who may `confirm` there; optional |
 * | POST /api/leave `{ run, by }` | `RunAnswer`: what `by` began is taken out of the line, where it has announced nothing |
 * | POST /api/roll-call `{ env }` | `RollCallView` |
 *
 * A failure is `{ error: ErrorView }`.
 */

export interface ErrorView {
  code: string;
  message: string;
  hint?: string;
  /** The command that the hint names, where the page may run it. */
  command?: readonly string[];
}

export interface ConfigView {
  /** The version of trigger-deploy. */
  version: string;
  person: { name: string; isVerified: boolean; isMachine?: true };
  /** `loopback`: the page has a session of its own, which it can end. `proxy`: a proxy says who the person is. */
  mode: 'loopback' | 'proxy';
  /** Whether nobody can change anything with this console. */
  readOnly: boolean;
  /** In the order in which `requires` has them: the first one first. */
  environments: readonly EnvironmentView[];
  grants: readonly Grant[];
  /** Addresses with {service}, {env}, {since}; {deployment} and {version} where they are known. */
  links: { logs?: string; builds?: string };
}

export interface EnvironmentView {
  name: string;
  requires?: string;
  confirm?: 'person' | 'other';
  /** Whether this console has the key to sign for the environment. */
  canSign: boolean;
  /** The defaults of the config for the deployments of each service, as they are written there. */
  services: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Why an action is not possible now. */
export interface Obstacle {
  /** An error code of trigger-deploy, or `NOT_ALLOWED` and `NO_KEY`. */
  code: string;
  text: string;
  /** What to do about it. */
  hint?: string;
  /** Whether `--queue` waits for its end. */
  waits?: boolean;
}

export const ACTIONS = ['deploy', 'promote', 'rollback', 'restart', 'pause', 'unpause'] as const;
export type Action = (typeof ACTIONS)[number];

export interface PauseView {
  scope: 'environment' | 'service';
  by: string;
  since: number;
  reason: string;
  /** The document of the pause cannot be verified: that counts as a pause. */
  unverified?: true;
}

/** Who waits to change a service: the next one first. */
export interface QueueEntryView {
  who: string;
  command: string;
  version?: string;
  since: number;
  /** The reason for going to the front. */
  jumped?: string;
}

export interface DriverView {
  /** `held`: a publisher drives it. `stale`: its publisher gave no heartbeat for 60 s. `none`: nobody drives it. */
  state: 'held' | 'stale' | 'none';
  who?: string;
  /** The host of that publisher, or the console. */
  via?: string;
  /** Its last heartbeat. */
  beatAt?: number;
  /** Whether this console drives it. */
  isHere?: boolean;
}

/** A deployment that has not ended. */
export interface UnderWay {
  deployment: string;
  version: string;
  from: string | null;
  action: 'deploy' | 'rollback' | 'restart';
  by: string;
  since: number;
  driver: DriverView;
  /** How many instances have ended, and how many there are. */
  done: number;
  of: number;
  wave?: { now: number; of: number };
  /** It waits for a person; with `until` it continues by itself then. */
  waiting?: { since: number; until?: number; after: number };
  /** It is a rolling deployment: nobody drives it, and `resume` continues it. */
  resumable?: true;
}

type Failed = 'failed' | 'timed-out' | 'cancelled';

/** A service in an environment: a cell of the overview. */
export interface Cell {
  env: string;
  service: string;
  /** The desired state. */
  desired?: {
    version: string;
    sequence: number;
    deployment: string;
    by: string;
    at: number;
    previous?: string;
    action: 'deploy' | 'rollback';
  };
  /** Why the desired state, or the pause, cannot be read. */
  trouble?: string;
  pause?: PauseView;
  /** How many instances there are, and how many of them run the desired version: `3 of 3` in `status --all`. */
  instances: number;
  good: number;
  /** Instances that run another version. */
  drift: number;
  /** Instances whose service a person must repair. */
  broken: number;
  /** Instances whose unit is not active. */
  down?: number;
  /** Instances that gave no heartbeat or did not answer the last roll call. */
  silent: number;
  underWay?: UnderWay;
  queue: readonly QueueEntryView[];
  /** The last deployment that ended, if it did not succeed. */
  lastFailure?: { deployment: string; version: string; status: Failed; outcome: string; at: number };
  /** Nothing of it could be read until now: that nothing is there says nothing. */
  unread?: true;
}

export interface EnvironmentState {
  env: string;
  /** Why it cannot be read. */
  trouble?: ErrorView;
  pause?: PauseView;
  /** When all of it was read last; left out until then. With `trouble`, the cells are as old as that. */
  readAt?: number;
  rollCall?: RollCallView;
}

export interface RollCallView {
  env: string;
  at: number;
  by: string;
  asked: number;
  answered: number;
  tookMs: number;
}

export interface OverviewView {
  at: number;
  environments: readonly EnvironmentState[];
  cells: readonly Cell[];
}

export interface InstanceView extends Pick<InstanceRecord, 'instance' | 'zone' | 'version'> {
  /** The record of the instance, as `status` shows it: agent version, health, life. */
  record: InstanceRecord;
  /** Whether it answered the last roll call; left out when none was made. */
  answered?: boolean;
  drift: boolean;
}

/** A service in one environment, with all that the page of the service shows. */
export interface Lane extends Cell {
  reason?: string;
  inventory: readonly InstanceView[];
  /** Why each action is not possible; an action without obstacles is possible. */
  obstacles: Readonly<Partial<Record<Action, readonly Obstacle[]>>>;
  /** What `promote` would bring here, and from where. */
  promote?: { from: string; version: string };
  /** Where `rollback` would go. */
  rollbackTo?: string;
}

export interface VersionView {
  version: string;
  pushedAt?: number;
  pushedBy?: string;
  build?: string;
  /** Where it ran or runs: `desired` there now, or has succeeded there. */
  places: readonly { env: string; state: PlaceState; succeededAt?: number }[];
}

export interface ServiceView {
  service: string;
  at: number;
  lanes: readonly Lane[];
  /** The newest push first. */
  versions: readonly VersionView[];
}

/** A deployment as far as it is known: its record, and the events that `after` of render/deployment-view.ts folds. */
export interface DeploymentView {
  at: number;
  record: PastDeployment;
  driver: DriverView;
  underWay?: UnderWay;
  /** `started`, the waves, the checks and the last report of each instance; `settled` when it has ended. */
  events: readonly PublisherEvent[];
  decisions: readonly { kind: 'confirm' | 'cancel'; by: string; at: number; reason?: string }[];
  /** The step times of the last deployment of the service that succeeded, ms: the median of its instances. */
  lastTimes?: Readonly<Record<string, number>>;
  /** The sequence of the desired state, for --if-sequence. */
  sequence?: number;
}

/** A command that this console carries out. */
export interface RunView {
  run: string;
  argv: readonly string[];
  /** The same, as a person types it. */
  line: string;
  verb: string;
  env?: string;
  service?: string;
  by: string;
  startedAt: number;
  state: 'starting' | 'queued' | 'running' | 'ended' | 'detached';
  deployment?: string;
  place?: { place: number; of: number };
  notes: readonly { at: number; level: 'info' | 'warning'; text: string }[];
  exitCode?: number;
  error?: ErrorView;
}

/**
 * 200: the verb has answered, in `things`. 202: it goes on; `run.deployment` is there once it has started. A failure has
 * `error`: 400 for exit code 2, 403 where the person may not, 409 for a refusal (exit code 4), else 500.
 */
export interface RunAnswer {
  run?: RunView;
  things?: readonly object[];
  /** What the terminal would print. */
  lines?: readonly string[];
  exitCode?: number;
}

export interface HistoryView {
  at: number;
  /** The newest first. */
  deployments: readonly PastDeployment[];
  pauses: readonly PauseChangeView[];
  /** The id to ask for the next page with; left out at the end. */
  before?: string;
  trouble?: readonly { env: string; error: ErrorView }[];
}

export interface PauseChangeView {
  env: string;
  service?: string;
  paused: boolean;
  by: string;
  at: number;
  reason?: string;
}

/** Which version was desired at a time, and which deployment was under way. `unknown`: why the record does not say it. */
export interface StandingView {
  at: number;
  places: readonly {
    env: string;
    service: string;
    version: string | null;
    deployment?: string;
    underWay?: { deployment: string; version: string };
    unknown?: string;
  }[];
  trouble?: readonly { env: string; error: ErrorView }[];
}

export type LiveMessage =
  | { type: 'overview'; view: OverviewView }
  | { type: 'cells'; at: number; cells: readonly Cell[]; gone: readonly { env: string; service: string }[] }
  | { type: 'environments'; at: number; environments: readonly EnvironmentState[] }
  | { type: 'service'; view: ServiceView }
  | { type: 'deployment'; view: DeploymentView }
  /** What followed in the deployment: folded into the events of the view. */
  | { type: 'events'; at: number; events: readonly PublisherEvent[] }
  | ({ type: 'progress'; at: number } & Pick<DeploymentView, 'driver' | 'underWay'> &
      Partial<Pick<DeploymentView, 'decisions'>>)
  /** The commands that this console carries out, and those that ended in the last minute. */
  | { type: 'runs'; runs: readonly RunView[] }
  /** What is shown cannot be read now. */
  | { type: 'trouble'; at: number; error: ErrorView }
  /** The server's time, every 15 s. */
  | { type: 'alive'; at: number };

type PlaceState = 'desired' | 'succeeded' | 'under-way' | 'failed';

export type { Report };
