import { isCode } from '../../../shared/errors.ts';
import { isEnding } from '../../../shared/states.ts';
import type { PublisherEvent } from '../../events.ts';
import type { LockView } from '../../record/lock.ts';
import type { StoredDeployment } from '../../record/signed-deployments.ts';
import type { Decisions } from '../../rollout/decisions.ts';
import { observe } from '../../rollout/observe.ts';
import { isFinal } from '../../rollout/record-outcome.ts';
import type { Session } from '../../session.ts';
import type { DeploymentView, DriverView, LiveMessage } from '../api.ts';
import { errorView } from '../error-view.ts';
import type { OpenSubject, OwnEvents } from '../ports.ts';
import { type KeptEvents, keepEvents } from './kept-events.ts';
import { lastTimes } from './last-times.ts';
import { openPastDeployment } from './look-past.ts';
import { goesOn, ownerOf, passedIn } from './under-way.ts';

/**
 * One deployment: what its page looks at. What this console drives tells its own events, at once; of others the record
 * is read every 2 s, what its driver heard every second, and the lock every 5 s.
 */

export interface DeploymentPlace {
  service: string;
  deployment: string;
}

/** Events are sent together, this long after the first, ms: ten times a second at most. */
const BATCH_MS = 100;

/** @throws DEPLOYMENT_NOT_FOUND, SIGNATURE_INVALID, DOCUMENT_INVALID, AWS_*. */
export function openDeploymentLook(
  open: () => Promise<Session>,
  place: DeploymentPlace,
  runs: OwnEvents,
): OpenSubject {
  return async (show, signal) => {
    const session = await open();
    try {
      return await look(session, place, runs, show, signal);
    } catch (error) {
      // A local deployment, or one of a publisher before signed records.
      if (!isCode(error, 'DEPLOYMENT_NOT_FOUND')) throw error;
      return await openPastDeployment(session, place, show, signal);
    }
  };
}

async function look(
  session: Session,
  place: DeploymentPlace,
  runs: OwnEvents,
  show: (message: LiveMessage) => void,
  signal: AbortSignal,
) {
  const { clock, record } = session;
  const { here } = record;
  const { service, deployment } = place;
  const kept: KeptEvents = keepEvents();
  const known: { stored?: StoredDeployment; lock?: LockView; decisions: Decisions } = { decisions: {} };
  const desiredOf = async () => (await record.desired.read(service).catch(() => undefined))?.value;
  let sequence: number | undefined;
  let times: Record<string, number> | undefined;
  /** Nothing is shown before the first snapshot. */
  let isOpen = false;
  let shownProgress = '';
  let pending: PublisherEvent[] = [];

  const driver = (): DriverView =>
    known.stored && known.lock ? ownerOf(known.stored.value, known.lock, here) : { state: 'none' };
  const progress = () => {
    const { stored, lock } = known;
    const counts = stored && kept.ended(stored.value.expected, passedIn(stored.value));
    const underWay = stored && lock && counts && goesOn(stored.value, lock, { here, ...counts });
    return { driver: driver(), ...(underWay && { underWay }), decisions: decisionViews(known.decisions) };
  };
  const view = (): DeploymentView => {
    if (known.stored === undefined) throw new Error('nothing was read');
    const more = { ...(times && { lastTimes: times }), ...(sequence !== undefined && { sequence }) };
    return { at: clock.now(), record: known.stored.value, ...progress(), events: kept.all(), ...more };
  };

  function showProgress(): void {
    const now = progress();
    const text = JSON.stringify(now);
    if (!isOpen || text === shownProgress) return;
    shownProgress = text;
    show({ type: 'progress', at: clock.now(), ...now });
  }

  function flush(): void {
    const events = pending;
    pending = [];
    if (events.length === 0 || signal.aborted) return;
    show({ type: 'events', at: clock.now(), events });
    showProgress();
  }

  function tell(event: PublisherEvent): void {
    if (!kept.add(event) || !isOpen) return;
    pending.push(event);
    if (pending.length === 1) clock.sleep(BATCH_MS, signal).then(flush, () => undefined);
  }

  /** While this console drives, its own events are ahead of the record, which only says how instances ended. */
  function tellOfRecord(event: PublisherEvent): void {
    const isOld = event.type === 'report' && !isEnding(event.report.state) && observer.isDrivenHere();
    if (!isOld || !isOpen) tell(event);
  }

  /** The whole view, with the record: it says more of a deployment that has ended than its events do. */
  async function showAll(): Promise<void> {
    sequence = (await desiredOf())?.sequence ?? sequence;
    pending = [];
    if (!signal.aborted) show({ type: 'deployment', view: view() });
  }

  const observer = {
    onRecord(stored: StoredDeployment) {
      const before = known.stored?.value;
      known.stored = stored;
      if (before !== undefined && isFinal(stored.value) && !isFinal(before)) void showAll();
      else showProgress();
    },
    onLock(lock: LockView) {
      known.lock = lock;
      showProgress();
    },
    onDecisions(decisions: Decisions) {
      known.decisions = decisions;
      showProgress();
    },
    onTrouble(error: unknown) {
      if (error !== undefined) show({ type: 'trouble', at: clock.now(), error: errorView(error) });
      // What was shown is right again.
      else void showAll();
    },
    isDrivenHere: () => driver().isHere === true,
  };

  const [observed, desired] = await Promise.all([
    observe({ ...session, emit: tellOfRecord }, place, observer, signal),
    desiredOf(),
  ]);
  sequence = desired?.sequence;
  const about = { ...place, current: desired?.deployment };
  times = await lastTimes(session, about).catch(() => undefined);
  hearOwn(runs, deployment, tell, signal);
  isOpen = true;
  void observed.done;
  return {
    snapshot(): LiveMessage {
      return { type: 'deployment', view: view() };
    },
  };
}

/** What an earlier run of this console told, which drives no more, is old: the record has more. */
function hearOwn(
  runs: OwnEvents,
  deployment: string,
  hear: (event: PublisherEvent) => void,
  signal: AbortSignal,
): void {
  const before: PublisherEvent[] = [];
  let isLive = false;
  const isDriven = runs.listen(deployment, (event) => (isLive ? hear(event) : before.push(event)), signal);
  isLive = true;
  if (isDriven) before.forEach(hear);
}

function decisionViews({ confirm, cancel }: Decisions): DeploymentView['decisions'] {
  return [confirm, cancel].flatMap((one) => {
    if (one === undefined) return [];
    const { kind, by, at, reason } = one;
    return [{ kind, by, at: Date.parse(at), ...(reason !== undefined && { reason }) }];
  });
}
