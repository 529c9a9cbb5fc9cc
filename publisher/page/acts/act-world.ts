import type {
  Action,
  Cell,
  ConfigView,
  EnvironmentState,
  Lane,
  Obstacle,
  PauseView,
  QueueEntryView,
  ServiceView,
  UnderWay,
  VersionView,
} from '../../console/api.ts';
import type { DeploymentState } from '../deployment/deployment-state.ts';
import { verbOf } from './act-command.ts';
import { type Act, type ActForm, OPTIONS } from './act-form.ts';
import { whyNever, whyNotConfirm } from './allowed.ts';

/** What a dialog shows of the world, from whatever the page knows of it. Pure. */

export interface World {
  /** The desired version; null where there is none. */
  runs: string | null;
  /** Who made it so, and when. */
  by?: string;
  at?: number;
  sequence?: number;
  instances?: number;
  pause?: PauseView;
  underWay?: UnderWay;
  queue: readonly QueueEntryView[];
  /** Why the action is not possible; undefined where the page does not know it. */
  obstacles: readonly Obstacle[];
  rollbackTo?: string;
  promote?: { from: string; version: string };
  /** The versions that can be chosen, the newest first. */
  versions: readonly VersionView[];
}

export interface Known {
  cells: ReadonlyMap<string, Cell> | undefined;
  environmentStates: readonly EnvironmentState[];
  service: ServiceView | undefined;
  deployment: DeploymentState | undefined;
}

/** What the page knows of the place of the dialog; undefined while, or where, it knows nothing. */
export function worldOf(form: ActForm, known: Known): World | undefined {
  const { env, service } = form;
  // Of a decision, the page of the deployment knows most; a link need not name its service.
  const own = form.deployment === undefined ? undefined : ofDeployment(form, known.deployment);
  if (own !== undefined) return own;
  if (service === undefined) return form.deployment === undefined ? ofEnvironment(env, known) : undefined;
  const lane =
    known.service?.service === service ? known.service.lanes.find((one) => one.env === env) : undefined;
  const cell = lane ?? known.cells?.get(`${env}/${service}`);
  if (cell?.unread) return undefined;
  if (cell !== undefined) return ofCell(form, cell, lane, known.service?.versions ?? []);
  return undefined;
}

function ofEnvironment(env: string, { environmentStates }: Known): World | undefined {
  const state = environmentStates.find((one) => one.env === env);
  if (state === undefined) return undefined;
  return { runs: null, queue: [], obstacles: [], versions: [], ...(state.pause && { pause: state.pause }) };
}

function ofCell(form: ActForm, cell: Cell, lane: Lane | undefined, versions: readonly VersionView[]): World {
  const { desired, pause, underWay, queue, instances, trouble } = cell;
  const action = verbOf(form) as Action;
  return {
    ...{ runs: desired?.version ?? null, instances, queue },
    // 0 is the sequence of a service that was never deployed. What cannot be read has none.
    ...(trouble === undefined && { sequence: desired?.sequence ?? 0 }),
    ...(desired && { by: desired.by, at: desired.at }),
    ...(pause && { pause }),
    ...(underWay && { underWay }),
    obstacles: lane === undefined ? derivedObstacles(form, cell) : (lane.obstacles[action] ?? []),
    ...rest(cell, lane),
    versions,
  };
}

/** The newest push that does not run there: the one that a deployment is most often about. */
export const newestOf = ({ versions, runs }: World): string | undefined =>
  versions.find(({ version }) => version !== runs)?.version;

function rest({ desired }: Cell, lane: Lane | undefined): Pick<World, 'rollbackTo' | 'promote'> {
  const rollbackTo = lane === undefined ? desired?.previous : lane.rollbackTo;
  return { ...(rollbackTo !== undefined && { rollbackTo }), ...(lane?.promote && { promote: lane.promote }) };
}

/** What the overview knows of it: it has no list of obstacles. */
function derivedObstacles(form: ActForm, { pause, underWay, service, env }: Cell): Obstacle[] {
  if (!['deploy', 'promote', 'rollback', 'restart'].includes(verbOf(form))) return [];
  return [
    ...(pause === undefined
      ? []
      : [
          {
            code: 'PAUSED',
            text: `${pause.scope === 'environment' ? env : service} is paused by ${pause.by}: ${pause.reason}`,
            hint: 'unpause it first, or ask who paused it',
          },
        ]),
    ...(underWay === undefined
      ? []
      : [
          {
            code: 'LOCKED',
            text: `${underWay.by} changes it to ${underWay.version}`,
            hint: 'wait until that ends, or join the queue',
            waits: true,
          },
        ]),
  ];
}

/** On the page of a deployment: what its own record says. */
function ofDeployment(form: ActForm, state: DeploymentState | undefined): World | undefined {
  if (state === undefined) return undefined;
  const { record, underWay, sequence } = state.view;
  if (record.env !== form.env || (form.service ?? record.service) !== record.service) return undefined;
  if (form.deployment !== undefined && form.deployment !== record.deployment) return undefined;
  return {
    runs: record.status === 'succeeded' ? record.version : record.previous,
    ...(sequence !== undefined && { sequence }),
    instances: record.expected.length,
    ...(underWay && { underWay }),
    ...{ queue: [], obstacles: [], versions: [] },
  };
}

/** Why this person, at this console, cannot do it whatever runs there. */
export function personObstacles(form: ActForm, config: ConfigView): Obstacle[] {
  const { act, env, service, flags } = form;
  if (!config.environments.some(({ name }) => name === env)) {
    return [{ code: 'NOT_FOUND', text: `this console knows no environment ${env}` }];
  }
  const why = whyNever(config, act, env, service);
  return [why ?? (flags.has('jump') ? whyNever(config, 'jump', env, service) : undefined) ?? []].flat();
}

/** Whether an obstacle prevents the press, with the options that are chosen. */
export function prevents({ code, waits }: Obstacle, { flags, version }: ActForm): boolean {
  if (waits && (flags.has('queue') || flags.has('jump'))) return false;
  if (code === 'NOTHING_TO_ROLL_BACK_TO') return version === '';
  return !(code === 'PAUSED' && flags.has('despite-pause'));
}

/** Whether what a person fills in can overcome it: then the dialog must open. */
export const canOvercome = ({ code }: Obstacle, act: Act): boolean =>
  code === 'NOTHING_TO_ROLL_BACK_TO' || (code === 'PAUSED' && OPTIONS[act].includes('despite-pause'));

/**
 * Whether the command waits for another one, which changes the desired state: with the sequence that is there now it would
 * be refused each time.
 */
export const isBehind = ({ flags }: ActForm, world: World | undefined): boolean =>
  (flags.has('queue') || flags.has('jump')) &&
  world !== undefined &&
  (world.underWay !== undefined || world.queue.length > 0 || world.obstacles.some(({ waits }) => waits));

/** What the person saw, so that the dialog can say what has changed since. */
export interface Seen {
  runs: string | null;
  sequence: number | undefined;
  underWay: string | undefined;
  paused: string | undefined;
}

export const seenOf = (world: World): Seen => ({
  runs: world.runs,
  sequence: world.sequence,
  underWay: world.underWay?.deployment,
  paused: world.pause && `${world.pause.scope} ${world.pause.since}`,
});

/** What has changed since, in words; empty when nothing has. */
export function changesSince(seen: Seen, world: World): string[] {
  const now = seenOf(world);
  const by = world.by === undefined ? '' : ` (${world.by})`;
  const changes: string[] = [];
  if (now.sequence !== seen.sequence) {
    changes.push(
      now.runs === seen.runs
        ? `${now.runs ?? 'no version'} was deployed again${by}`
        : `the desired version is ${now.runs ?? 'none'} now, not ${seen.runs ?? 'none'}${by}`,
    );
  }
  if (now.underWay !== seen.underWay) {
    changes.push(
      world.underWay === undefined
        ? 'the deployment that was under way has ended'
        : `${world.underWay.by} began a deployment of ${world.underWay.version}`,
    );
  }
  if (now.paused !== seen.paused) {
    changes.push(
      world.pause === undefined
        ? 'the pause has ended'
        : `${world.pause.by} paused it: ${world.pause.reason}`,
    );
  }
  return changes;
}

/** Why a deployment cannot be confirmed, cancelled or resumed now. */
export function decisionObstacles(
  { act, env, deployment }: ActForm,
  world: World | undefined,
  config?: ConfigView,
): Obstacle[] {
  if (world === undefined || deployment === undefined) return [];
  const { underWay } = world;
  if (underWay?.deployment !== deployment) {
    return [{ code: 'SETTLED', text: 'this deployment is not under way' }];
  }
  if (act === 'confirm' && underWay.waiting === undefined) {
    return [{ code: 'NOT_WAITING', text: 'it does not wait for confirmation now' }];
  }
  if (act === 'confirm') return [(config && whyNotConfirm(config, env, underWay.by)) ?? []].flat();
  if (act === 'resume' && underWay.driver.state === 'held') {
    return [{ code: 'LOCKED', text: `${underWay.driver.who ?? 'a publisher'} drives it` }];
  }
  return [];
}
