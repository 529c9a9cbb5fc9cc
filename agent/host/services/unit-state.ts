import type { ServiceStatus } from '../../deploy/service-port.ts';

/** A unit as `systemctl show` prints it (systemctl(1)), and what that means. Pure. */

export const PROPERTIES = [
  'LoadState',
  'ActiveState',
  'SubState',
  'MainPID',
  'NRestarts',
  'InvocationID',
  'Result',
  'Job',
  'ControlGroup',
  'NeedDaemonReload',
  'TriggeredBy',
] as const;

export interface UnitState {
  /** `loaded`, `not-found`, `masked`, `bad-setting`, … */
  load: string;
  /** `active`, `inactive`, `activating`, `deactivating`, `failed`, `reloading`, … */
  active: string;
  sub: string;
  mainPid: number | null;
  restarts: number;
  /** The invocation ID of the last start; null if the unit never started, or if systemd is older than 232. */
  invocation: string | null;
  /** `success`, `exit-code`, `signal`, `timeout`, `start-limit-hit`, … */
  result: string;
  /** Whether a job of the unit, such as a start or a stop, is queued or running. */
  busy: boolean;
  /** The hint if systemd still uses a unit file that was changed since. */
  outdated: string | undefined;
  /** The path of its control group; empty if the unit does not run. */
  group: string;
  /** Sockets, timers and paths that start it. */
  triggeredBy: string[];
}

/** What to do about `NeedDaemonReload`. */
const RELOAD =
  'the file of the unit was changed, and systemd still uses the old one: systemctl daemon-reload';

/** The output of `systemctl show`, a `Name=value` per line. A property that comes twice has the values in one. */
export function propertiesOf(text: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=');
    if (equals <= 0) continue;
    const name = line.slice(0, equals);
    const value = line.slice(equals + 1).trim();
    values.set(name, values.has(name) ? `${values.get(name)} ${value}` : value);
  }
  return values;
}

/** The names in a property that holds a list. */
export const wordsIn = (value: string): string[] => value.split(' ').filter(Boolean);

/** Parses the output of `systemctl show UNIT --property=…`. A property may be missing. */
export function parseShow(text: string): UnitState {
  const values = propertiesOf(text);
  const count = (name: string) => Number.parseInt(values.get(name) ?? '', 10) || 0;
  return {
    load: values.get('LoadState') ?? 'unknown',
    active: values.get('ActiveState') ?? 'unknown',
    sub: values.get('SubState') ?? 'unknown',
    mainPid: count('MainPID') || null,
    restarts: count('NRestarts'),
    invocation: values.get('InvocationID') || null,
    result: values.get('Result') || 'success',
    busy: count('Job') > 0,
    group: values.get('ControlGroup') ?? '',
    triggeredBy: wordsIn(values.get('TriggeredBy') ?? ''),
    outdated: values.get('NeedDaemonReload') === 'yes' ? RELOAD : undefined,
  };
}

export function statusOf(unit: string, state: UnitState): ServiceStatus {
  return {
    active: isRunning(state.active),
    failed: state.active === 'failed',
    ...(state.active === 'inactive' && !state.busy && { down: true }),
    mainPid: state.mainPid,
    restarts: state.restarts,
    invocation: state.invocation,
    summary: state.load === 'loaded' ? `${state.active} (${state.sub})` : state.load,
    ...(state.load !== 'loaded' && { trouble: loadTrouble(unit, state.load) }),
  };
}

/** The problem of a unit that is not `loaded`, and how to solve it. */
export function loadTrouble(unit: string, load: string): { problem: string; hint: string } {
  if (load === 'not-found') {
    return { problem: `${unit} does not exist`, hint: 'install the unit, then run systemctl daemon-reload' };
  }
  if (load === 'masked') return { problem: `${unit} is masked`, hint: `systemctl unmask ${unit}` };
  return {
    problem: `${unit} cannot be loaded: ${load}`,
    hint: `see systemctl status ${unit}; after the repair: systemctl daemon-reload`,
  };
}

/** Whether the unit was started between `before` and `now`. If there are no invocation IDs, the main pid decides. */
export function isNewStart(before: UnitState, now: UnitState): boolean {
  if (now.invocation === null) return now.mainPid !== before.mainPid;
  return now.invocation !== before.invocation;
}

/**
 * The progress of a restart. ActiveState `failed` does not always mean that the restart failed: a JVM that is stopped
 * with TERM exits with 143, so the unit is `failed` for a moment, until the queued start begins.
 */
export function restartVerdict(before: UnitState, now: UnitState): 'started' | 'failed' | 'wait' {
  const anew = isNewStart(before, now);
  if (isRunning(now.active) && anew) return 'started';
  if (now.active === 'failed' && (anew || !now.busy)) return 'failed';
  // The job has ended and the unit is inactive: a condition or dependency failed, or the service ended at once.
  if (now.active === 'inactive' && !now.busy) return 'failed';
  return 'wait';
}

/** A unit that reloads its configuration runs all the while. */
export const isRunning = (active: string) => ['active', 'reloading', 'refreshing'].includes(active);

export const isDown = (active: string) => active === 'inactive' || active === 'failed';

export const isChanging = (active: string) => active === 'activating' || active === 'deactivating';
