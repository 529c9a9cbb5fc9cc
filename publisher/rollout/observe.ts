import { isCode } from '../../shared/errors.ts';
import { keys } from '../../shared/names.ts';
import type { Report } from '../../shared/report.ts';
import { isEnding } from '../../shared/states.ts';
import type { PublisherEvent } from '../events.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { ReportReader } from '../record/instance-objects.ts';
import type { LockView } from '../record/lock.ts';
import { pulseReader } from '../record/pulse.ts';
import type { StoredDeployment } from '../record/signed-deployments.ts';
import type { Session } from '../session.ts';
import { emitStarted } from './create-record.ts';
import { type Decisions, readDecisions } from './decisions.ts';
import { isNewer, openProgress, type Progress } from './follow.ts';
import { type ObservedWaves, observeWaves } from './observed-waves.ts';
import { reportsOf } from './pulse-reports.ts';
import { isFinal, isRollBackDue, settledEvent } from './record-outcome.ts';

/**
 * Looks at a deployment and never acts: it takes no lock, signs and writes nothing, makes no queue and asks nobody. It
 * needs no signing key. `watch` begins with the same looks, and settles what nobody drives.
 */

/** A deployment that is looked at. */
export interface Observation {
  readonly progress: Progress;
  readonly readReports: ReportReader;
  readonly waves: ObservedWaves;
}

/**
 * Reads a deployment, emits `started` and its reports so far.
 * @throws DEPLOYMENT_NOT_FOUND, SIGNATURE_INVALID, DOCUMENT_INVALID, AWS_*.
 */
export async function beginToLook(
  session: Session,
  service: string,
  deployment: string,
): Promise<Observation & { stored: StoredDeployment }> {
  const { clock, record } = session;
  const { deployments } = record;
  const [stored, instances] = await Promise.all([
    deployments.read(service, deployment),
    deployments.instances(service),
  ]);
  emitStarted(session, stored.value, instances, 'watched');
  const announcedAt = Date.parse(stored.value.announcedAt);
  const progress = openProgress(session, stored.value, () => clock.now() - announcedAt);
  const readReports = deployments.reportReader(service, deployment);
  for (const report of await readReports()) progress.add(report);
  return { stored, progress, readReports, waves: observeWaves(session) };
}

/** What an observer is told besides the events. */
export interface Observer {
  /** The record, each time it has changed. */
  onRecord(stored: StoredDeployment): void;
  /** The lock of the service, each time it is read. The record was read after it. */
  onLock(lock: LockView): void;
  onDecisions(decisions: Decisions): void;
  /** A read failed, and is repeated; undefined once all succeed again. */
  onTrouble(error: unknown): void;
  /** Whether this process drives the deployment: then its own events come at once, and no pulse is read. */
  isDrivenHere(): boolean;
}

/** How often each is read, ms. */
const PULSE_MS = 1000;
const RECORD_MS = 2000;
const LOCK_MS = 5000;
/** The longest wait after failures, each of which doubles it, ms. */
const LONGEST_WAIT_MS = 30_000;

/**
 * Begins to look at a deployment: resolves when all that is known was emitted by `session.emit`. What follows is emitted
 * until the deployment has ended, its rollback has begun if one is due, or `signal` aborts; then `done` resolves, and
 * nothing is read any more.
 * @throws as `beginToLook`.
 */
export async function observe(
  session: Session,
  { service, deployment }: { service: string; deployment: string },
  observer: Observer,
  signal: AbortSignal,
): Promise<{ done: Promise<void> }> {
  const { clock, record } = session;
  const overlay = openOverlay(session);
  const looking = { ...session, emit: overlay.emit };
  // Before the record: a lock that is free says "nobody drives" only of a record that was read later.
  const firstLock = await lookAtLock(session, service);
  const { stored: first, progress, readReports, waves } = await beginToLook(looking, service, deployment);
  const about = { env: session.env.name, objects: record.objects };
  const readPulse = pulseReader(about, service, deployment);
  let stored = first;
  let seenWaves = waves;
  let lock = firstLock;
  let listed = new Map<string, string>();
  const due = { record: 0, lock: clock.monotonic() + LOCK_MS };

  const isOver = () => isFinal(stored.value) && !isRollBackDue(stored.value);
  const isHeld = () => lock.state === 'held' && lock.owner?.deployment === deployment;

  async function take(next: StoredDeployment): Promise<void> {
    const before = stored.value;
    stored = next;
    if (before.settledAt !== undefined && next.value.settledAt === undefined) {
      // It is resumed: what was shown as its outcome is none.
      emitStarted(looking, next.value, await record.deployments.instances(service), 'watched');
      for (const report of progress.reports.values()) overlay.repeat(report);
      seenWaves = observeWaves(looking);
    }
    observer.onRecord(next);
    await seenWaves.see(next.value);
    if (hasEnded(next.value) && !(hasEnded(before) && before.settledAt === next.value.settledAt))
      looking.emit(settledEvent(clock, next.value, true));
  }

  /** Lists the deployment, and reads what has changed. */
  async function readChanges(withPause: boolean): Promise<void> {
    const folder = keys.deploymentFolder(session.env.name, service, deployment);
    const now = new Map((await record.objects.list(folder)).map(({ key, etag }) => [key, etag]));
    const isChanged = (key: string) => now.get(key) !== listed.get(key);
    const reports = keys.reports(session.env.name, service, deployment);
    if ([...now.keys()].some((key) => key.startsWith(reports) && isChanged(key))) {
      for (const report of await readReports()) progress.add(report);
    }
    const decided = (['confirm', 'cancel'] as const).map((kind) =>
      keys.decision(session.env.name, service, deployment, kind),
    );
    if (decided.some(isChanged)) observer.onDecisions(await readDecisions(looking, stored));
    const own = keys.deployment(session.env.name, service, deployment);
    if (isChanged(own) && now.get(own) !== stored.etag) {
      await take(await record.deployments.read(service, deployment));
    } else if (withPause) await seenWaves.see(stored.value);
    listed = now;
  }

  async function look(): Promise<void> {
    const now = clock.monotonic();
    const isLockDue = now >= due.lock;
    const read = isLockDue ? await lookAtLock(session, service) : undefined;
    if (isLockDue || now >= due.record) {
      await readChanges(isLockDue);
      due.record = now + RECORD_MS;
    }
    if (read !== undefined) {
      lock = read;
      due.lock = now + LOCK_MS;
      observer.onLock(read);
    }
    if (isOver() || !isHeld() || observer.isDrivenHere()) return;
    const pulse = await readPulse();
    if (pulse !== 'unchanged') overlay.show(reportsOf(pulse, stored.value, progress.reports));
    if (typeof pulse === 'object' && pulse.forgotten) {
      overlay.forget({ deployment, instances: pulse.forgotten });
    }
  }

  async function goOn(): Promise<void> {
    let wait = PULSE_MS;
    while (!isOver() && !signal.aborted) {
      await clock.sleep(wait, signal).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await look();
        if (wait !== PULSE_MS) observer.onTrouble(undefined);
        wait = PULSE_MS;
      } catch (error) {
        if (signal.aborted) return;
        observer.onTrouble(error);
        wait = Math.min(2 * wait, LONGEST_WAIT_MS);
      }
    }
  }

  await seenWaves.see(stored.value);
  observer.onRecord(stored);
  observer.onLock(lock);
  await readChanges(false);
  if (hasEnded(stored.value) && stored === first) {
    looking.emit(settledEvent(clock, stored.value, true));
  }
  return { done: goOn() };
}

/** A deployment that could not be announced has no `settledAt`; one that timed out may go on. */
const hasEnded = (record: DeploymentRecord) => isFinal(record) || record.settledAt !== undefined;

/** A lock that another writer damaged is held by nobody: whoever wants it is told what is wrong. */
async function lookAtLock({ record }: Session, service: string): Promise<LockView> {
  try {
    return await record.locks.look(service);
  } catch (error) {
    if (!isCode(error, 'DOCUMENT_INVALID')) throw error;
    return { state: 'free', sequence: 0, owner: null, dead: false };
  }
}

/**
 * Shows the states of a pulse over those of the record: an ending always counts, and of two others the newer one. A pulse
 * replaces the one before it, so that a forged one lasts only until the next.
 */
function openOverlay({ emit, clock }: Session) {
  let beats: ReadonlyMap<string, Report> = new Map();
  let forgotten = '';
  const show = (event: PublisherEvent) => emit(event);
  return {
    emit(event: PublisherEvent) {
      const beat = event.type === 'report' ? beats.get(event.report.instance) : undefined;
      const isHidden = event.type === 'report' && beat !== undefined && !isNewer(event.report, beat);
      if (!isHidden) show(event);
    },
    repeat(report: Report) {
      show({ type: 'report', at: clock.now(), report });
    },
    show(reports: readonly Report[]) {
      const before = beats;
      beats = new Map(reports.filter(({ state }) => !isEnding(state)).map((one) => [one.instance, one]));
      for (const report of beats.values()) {
        const known = before.get(report.instance);
        const isSame = known?.n === report.n && known.state === report.state && known.note === report.note;
        if (!isSame) show({ type: 'report', at: clock.now(), report });
      }
    },
    forget(found: Pick<Extract<PublisherEvent, { type: 'forgotten' }>, 'deployment' | 'instances'>) {
      const text = JSON.stringify(found.instances);
      if (text === forgotten) return;
      forgotten = text;
      show({ type: 'forgotten', at: clock.now(), ...found });
    },
  };
}
