import type { Report } from '../../shared/report.ts';
import { isEnding, type State } from '../../shared/states.ts';
import type { PublisherEvent, Settled, Started } from '../events.ts';
import type { Forgotten } from '../record/deployment-schema.ts';

type Progress = Extract<PublisherEvent, { type: 'progress' }>;

/**
 * The last known state of an instance. `waiting`: no report yet; `silent`: settled without a report from it; `forgotten`: not
 * waited for, because it is gone.
 */
export interface Row {
  instance: string;
  zone: string | undefined;
  state: State | 'waiting' | 'silent' | 'forgotten';
  /** The version that ran before; undefined when unknown. */
  previous: string | null | undefined;
  version: string;
  report: Report | undefined;
  /** Why it is not waited for. */
  forgotten?: Forgotten | undefined;
  /** When its latest report came, ms since the epoch. */
  reportedAt: number | undefined;
}

/** The state of a deployment, or of uploads, computed from its events. */
export interface View {
  started: Started | undefined;
  settled: Settled | undefined;
  rows: ReadonlyMap<string, Row>;
  uploads: ReadonlyMap<string, Progress>;
}

export const emptyView: View = {
  started: undefined,
  settled: undefined,
  rows: new Map(),
  uploads: new Map(),
};

/** The view after `event`. A deployment that starts replaces the one before it. */
export function applyEvent(view: View, event: PublisherEvent): View {
  switch (event.type) {
    case 'started':
      return { ...emptyView, started: event, rows: waitingRows(event) };
    case 'report': {
      const { report } = event;
      const rows = new Map(view.rows).set(
        report.instance,
        rowOf(report, event.at, view.rows.get(report.instance)),
      );
      return { ...view, rows };
    }
    case 'forgotten':
      return { ...view, rows: forgottenRows(view, event.instances) };
    case 'progress':
      return { ...view, uploads: new Map(view.uploads).set(event.what, event) };
    case 'settled': {
      const silent = new Set(event.silent);
      const gone = forgottenRows(view, event.forgotten ?? []);
      const rows = [...gone.values()].map((row): Row => {
        return silent.has(row.instance) && row.report === undefined ? { ...row, state: 'silent' } : row;
      });
      return { ...view, settled: event, rows: new Map(rows.map((row) => [row.instance, row])) };
    }
    case 'note':
    case 'pause':
    case 'wave':
    case 'waiting':
    case 'check':
      return view;
  }
}

/** The view after all of `events`. Reports that follow each other share one copy of the rows: they come in hundreds a second. */
export function applyEvents(view: View, events: readonly PublisherEvent[]): View {
  let now = view;
  let copy: Map<string, Row> | undefined;
  for (const event of events) {
    if (event.type === 'report') {
      copy ??= new Map(now.rows);
      const { report } = event;
      copy.set(report.instance, rowOf(report, event.at, copy.get(report.instance)));
    } else {
      now = applyEvent(copy === undefined ? now : { ...now, rows: copy }, event);
      copy = undefined;
    }
  }
  return copy === undefined ? now : { ...now, rows: copy };
}

function waitingRows(event: Started): Map<string, Row> {
  return new Map(
    event.expected.map(({ instance, zone, version: previous }) => [
      instance,
      {
        ...{ instance, zone, previous },
        state: 'waiting',
        version: event.version,
        report: undefined,
        reportedAt: undefined,
      },
    ]),
  );
}

/** The rows with those that are not waited for; of an earlier event, those that are waited for after all. */
function forgottenRows(view: View, instances: readonly Forgotten[]): Map<string, Row> {
  const gone = new Map(instances.map((one) => [one.instance, one]));
  const rows = [...view.rows.values()].map((row): Row => {
    if (row.state !== 'forgotten' || gone.has(row.instance)) return row;
    return { ...row, state: 'waiting', forgotten: undefined };
  });
  const known = new Map(rows.map((row) => [row.instance, row]));
  for (const [instance, forgotten] of gone) {
    const row = known.get(instance);
    if (row !== undefined && row.state !== 'waiting' && isOver(row)) continue;
    const version = view.started?.version ?? '';
    const unknown = { zone: undefined, previous: undefined, version, report: undefined };
    known.set(instance, {
      ...{ instance, ...unknown, reportedAt: undefined },
      ...row,
      ...{ state: 'forgotten', forgotten },
    });
  }
  return known;
}

function rowOf(report: Report, reportedAt: number, before: Row | undefined): Row {
  return {
    instance: report.instance,
    zone: report.zone ?? before?.zone,
    state: report.state,
    previous: report.previous === undefined ? before?.previous : report.previous,
    version: report.version,
    report,
    reportedAt,
  };
}

/** Whether a person must look at the instance: it failed, it never answered, or it is rolling back. */
export function isFailing(row: Row): boolean {
  return ['failed', 'rolled-back', 'broken', 'rejected', 'silent'].includes(row.state) || isRollingBack(row);
}

/** Whether the instance is rolling back to the previous version now. */
export function isRollingBack({ report }: Row): boolean {
  return report !== undefined && !isEnding(report.state) && report.step === 'rollback';
}

export function isOver({ state }: Row): boolean {
  return state === 'silent' || state === 'forgotten' || (state !== 'waiting' && isEnding(state));
}

/** The time spent on the instance, ms: what it reported and, until it ends, the time since its last report. */
export function spentMs(row: Row, now: number): number {
  const reported = Object.values(row.report?.timings ?? {}).reduce((sum, ms) => sum + ms, 0);
  return isOver(row) || row.reportedAt === undefined
    ? reported
    : reported + Math.max(0, now - row.reportedAt);
}
