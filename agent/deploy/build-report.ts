import { cleanLine, cleanTail } from '../../shared/clean-text.ts';
import type { TriggerDeployError } from '../../shared/errors.ts';
import {
  HINT_LIMIT,
  type InstanceNotice,
  type InstanceRecord,
  MOST_TRUSTED,
  type Report,
  SHORT_TEXT,
} from '../../shared/report.ts';
import type { Ending, State, Step } from '../../shared/states.ts';
import { DEFAULT_HINTS } from './default-hints.ts';
import type { Identity } from './ports.ts';
import { type Active, brokenBy, type Order, type ServiceState } from './state.ts';

/**
 * Reports and instance records, built from the state. Pure. Text of hooks, services and errors is cleaned and bounded
 * here, once, before it leaves the instance.
 */

/** The fields `previous` and `changed`, for every report of an active deployment. */
export function previousAndChanged(now: Active): { previous?: string | null; changed: boolean } {
  return { ...(now.previous === undefined ? {} : { previous: now.previous }), changed: now.changed };
}

export function buildReport(
  identity: Identity,
  order: Order,
  rest: {
    state: State;
    n: number;
    at: number; // ms since the epoch
    step?: Step | undefined;
    note?: string | undefined;
    previous?: string | null | undefined;
    changed?: boolean | undefined;
    error?: Report['error'] | undefined;
    warning?: string | undefined;
    timings: Report['timings'];
    spans?: Report['spans'] | undefined;
  },
): Report {
  return {
    kind: 'report',
    v: 1,
    deployment: order.deployment,
    env: identity.env,
    service: order.service,
    instance: identity.instance,
    ...defined('zone', identity.zone),
    sequence: order.sequence,
    n: rest.n,
    at: new Date(rest.at).toISOString(),
    state: rest.state,
    ...defined('step', rest.step),
    ...defined('note', rest.note === undefined ? undefined : cleanTail(rest.note).slice(0, 512)),
    version: order.version,
    ...defined('local', order.source === 'local' ? { action: order.action, by: order.by ?? '' } : undefined),
    ...defined('previous', rest.previous),
    ...defined('changed', rest.changed),
    ...defined('error', rest.error),
    ...defined('warning', rest.warning === undefined ? undefined : cleanLine(rest.warning).slice(0, 512)),
    timings: rounded(rest.timings),
    ...defined('spans', rest.spans && rounded(rest.spans)),
  };
}

const rounded = (times: Readonly<Record<string, number | undefined>>) =>
  Object.fromEntries(Object.entries(times).map(([name, ms]) => [name, Math.round(ms ?? 0)]));

/** `error` as part of a report: cleaned and cut. An error without a hint gets the hint of its code. */
export function buildReportError(
  error: TriggerDeployError,
  detail: string | undefined,
): NonNullable<Report['error']> {
  const hint = error.hint ?? DEFAULT_HINTS[error.code];
  return {
    code: error.code,
    message: cleanTail(error.message).replaceAll('\n', ' ').slice(0, 2048),
    ...(detail ? { detail: cleanTail(detail) } : {}),
    ...(hint ? { hint: cleanLine(hint).slice(0, HINT_LIMIT) } : {}),
  };
}

/** A report of the current state of the active deployment. Its number is that of the last journalled report. */
export function progressReport(identity: Identity, active: Active, now: number): Report {
  return buildReport(identity, active.order, {
    ...previousAndChanged(active),
    timings: active.timings,
    spans: active.spans,
    state: active.state,
    n: active.n,
    at: now,
  });
}

/** The report of the ending of a deployment that never started here. Its number is 1: that of `accepted` is 0. */
export function notStartedReport(
  identity: Identity,
  order: Order,
  ending: Ending,
  why: TriggerDeployError,
  now: number,
): Report {
  const error = buildReportError(why, undefined);
  return buildReport(identity, order, { state: ending, n: 1, at: now, changed: false, error, timings: {} });
}

/** What this instance runs of one service: for the S3 record, and for the answer to a roll call. */
export function buildInstanceRecord(
  identity: Identity,
  state: ServiceState,
  found: { version: string | null; active: boolean | undefined; notice?: InstanceNotice | undefined },
  now: number,
): InstanceRecord {
  const last = brokenBy(state) ? 'broken' : state.endings.at(-1)?.report.state;
  const failure = state.active ? undefined : failureIn(state);
  const deployment = state.active?.order.deployment ?? state.running?.deployment;
  return {
    v: 1,
    env: identity.env,
    service: state.service,
    instance: identity.instance,
    ...defined('zone', identity.zone),
    version: found.version,
    sequence: state.running?.sequence ?? 0,
    ...defined('seen', state.seen?.sequence),
    ...defined('deployment', deployment),
    ...defined('state', state.active?.state ?? last),
    ...defined('failure', failure),
    ...defined('active', found.active),
    pinned: state.pinned !== null,
    ...defined('notice', found.notice),
    ...defined(
      'tags',
      identity.tags && Object.keys(identity.tags).length > 0 ? { ...identity.tags } : undefined,
    ),
    agentVersion: identity.agentVersion,
    ...defined('trusts', identity.trusts?.length ? identity.trusts.slice(0, MOST_TRUSTED) : undefined),
    at: new Date(now).toISOString(),
  };
}

/** The error of the last deployment, without its detail; undefined if that deployment has none. */
function failureIn(state: ServiceState): InstanceRecord['failure'] {
  const by = brokenBy(state)?.deployment;
  const last =
    by === undefined ? state.endings.at(-1) : state.endings.findLast((one) => one.report.deployment === by);
  const error = last?.report.error;
  if (error === undefined || last?.report.state === 'cancelled' || last?.report.state === 'superseded')
    return undefined;
  const { code, message, hint } = error;
  return { code, message: message.slice(0, SHORT_TEXT), ...defined('hint', hint?.slice(0, SHORT_TEXT)) };
}

/** An object with this property, or without it if `value` is undefined (as `exactOptionalPropertyTypes` requires). */
function defined<K extends string, V>(key: K, value: V | undefined) {
  return value === undefined ? {} : ({ [key]: value } as Record<K, V>);
}

/** The report of the ending of the active deployment. Without `error`, the one recorded in the state is reported. */
export function endingReport(
  identity: Identity,
  active: Active,
  outcome: {
    ending: Ending;
    /** The step that failed, unless the state has it already. */
    during: Step | undefined;
    error: Report['error'] | undefined;
    n: number;
    at: number; // ms since the epoch
    timings: Report['timings'];
    spans: Report['spans'];
  },
): Report {
  const switched =
    outcome.ending === 'succeeded' || outcome.ending === 'rolled-back' || outcome.ending === 'broken';
  return buildReport(identity, active.order, {
    ...previousAndChanged(active),
    state: outcome.ending,
    n: outcome.n,
    at: outcome.at,
    timings: outcome.timings,
    spans: outcome.spans,
    step: outcome.during ?? active.during,
    changed: switched && active.changed,
    error: outcome.error ?? active.error,
    // A warning is about the version that runs now.
    warning: switched || !active.changed ? active.warning : undefined,
  });
}
