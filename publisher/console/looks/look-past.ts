import type { Report } from '../../../shared/report.ts';
import type { PublisherEvent } from '../../events.ts';
import type { PastDeployment } from '../../record/local-deployment.ts';
import type { Session } from '../../session.ts';
import type { DeploymentView, LiveMessage } from '../api.ts';
import type { Subject } from '../ports.ts';

/** A deployment without a signed record: local, or of a publisher before signed records. Nobody drives it. */

/** How often a local deployment that goes on is read, ms. */
const AGAIN_MS = 5000;

/** @throws DEPLOYMENT_NOT_FOUND, AWS_*. */
export async function openPastDeployment(
  session: Session,
  { service, deployment }: { service: string; deployment: string },
  show: (message: LiveMessage) => void,
  signal: AbortSignal,
): Promise<Subject> {
  const { clock, record } = session;
  const { deployments } = record;
  const read = async () => {
    const [past, reports] = await Promise.all([
      deployments.past(service, deployment),
      deployments.reports(service, deployment),
    ]);
    return viewOf(past, reports, clock.now());
  };
  let view = await read();
  const goOn = async () => {
    while (view.record.local !== undefined && view.record.status === 'announced') {
      await clock.sleep(AGAIN_MS, signal);
      const now = await read().catch(() => view);
      if (signal.aborted) return;
      if (JSON.stringify(now.events) !== JSON.stringify(view.events)) show({ type: 'deployment', view: now });
      view = now;
    }
  };
  goOn().catch(() => undefined);
  return { snapshot: () => ({ type: 'deployment', view }) };
}

function viewOf(past: PastDeployment, reports: readonly Report[], at: number): DeploymentView {
  const { deployment, env, service, version, previous, action, sequence, issuedBy, reason, strategy } = past;
  const what = { deployment, env, service, version, previous, action, sequence, issuedBy, reason, strategy };
  const started: PublisherEvent = {
    ...{ type: 'started', at: Date.parse(past.announcedAt), ...what, how: 'watched', expected: [] },
  };
  const states = reports.map(
    (report): PublisherEvent => ({ type: 'report', at: Date.parse(report.at), report }),
  );
  const {
    status,
    outcome = status,
    exitCode = status === 'succeeded' ? 0 : 1,
    counts = {},
    tookMs = 0,
  } = past;
  const settled: PublisherEvent[] =
    status === 'announced'
      ? []
      : [
          {
            ...{ type: 'settled', at, deployment, outcome: status, exitCode, counts, silent: [] },
            ...{ text: outcome, tookMs, shown: true },
          },
        ];
  const driver = { state: 'none' } as const;
  return { at, record: past, driver, events: [started, ...states, ...settled], decisions: [] };
}
