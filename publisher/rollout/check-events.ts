import { alarmsText, dueChecks } from '../plan/checks.ts';
import type { Checked } from '../record/check-schema.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { Output } from './driving.ts';

/** The events of the automatic checks: `verify` starts and ends, the watch of the alarms begins, alarms end the rollout. */

/** Emits what has changed between two states of the record. */
export function emitCheckChanges(
  { emit, clock }: Output,
  { deployment, checks, checked: now = {} }: DeploymentRecord,
  before: Checked = {},
): void {
  const due = dueChecks(checks);
  if (due === undefined) return;
  const base = { type: 'check', at: clock.now(), deployment } as const;
  for (const { phase, startedAt, run, endedAt, passed, why, output } of now.verify ?? []) {
    const known = before.verify?.find((run) => run.phase === phase);
    if (known?.startedAt === startedAt && known.endedAt === endedAt) continue;
    const about = { ...base, check: 'verify', phase } as const;
    if (endedAt === undefined)
      emit({ ...about, state: 'started', text: (run ?? due.verify?.run ?? []).join(' ') });
    else if (passed) emit({ ...about, state: 'passed', text: 'passed', output });
    else emit({ ...about, state: 'failed', text: why ?? 'it did not pass', output });
  }
  const { watchingSince, alarms } = now;
  if (watchingSince !== undefined && watchingSince !== before.watchingSince && due.watchAlarmsMs > 0) {
    const until = Date.parse(watchingSince) + due.watchAlarmsMs;
    emit({
      ...base,
      check: 'alarms',
      state: 'started',
      until,
      text: due.alarms.map(({ name }) => name).join(', '),
    });
  }
  if (alarms !== undefined && before.alarms === undefined) {
    emit({ ...base, check: 'alarms', state: 'failed', text: alarmsText(alarms.failed) });
  }
}
