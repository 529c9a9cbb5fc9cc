import { useState } from 'preact/hooks';
import type { ErrorView, Report } from '../../console/api.ts';
import { ForeignBlock } from '../parts/foreign.tsx';
import { ErrorBox } from '../parts/parts.tsx';
import { errorOf, request } from '../shell/request.ts';

type Shown = 'reading' | { report: Report } | { error: ErrorView };

/** The end of the log of an instance that failed. It is read when a person opens it: it can have 16 KB. */
export function LogTail({ report }: { report: Report }) {
  const [shown, setShown] = useState<Shown>();
  const { env, service, deployment, instance } = report;
  const read = () => {
    if (shown !== undefined && !(typeof shown === 'object' && 'error' in shown)) return;
    setShown('reading');
    const query = new URLSearchParams({ env, service, deployment, instance });
    request<Report>(`/api/report?${query}`).then(
      (read) => setShown({ report: read }),
      (error: unknown) => setShown({ error: errorOf(error) }),
    );
  };
  return (
    <details class="log-tail" onToggle={(event) => event.currentTarget.open && read()}>
      <summary>end of its log</summary>
      {shown === 'reading' && <p class="dim">reading …</p>}
      {typeof shown === 'object' && 'error' in shown && <ErrorBox error={shown.error} />}
      {typeof shown === 'object' &&
        'report' in shown &&
        (shown.report.error?.detail ? (
          <ForeignBlock text={shown.report.error.detail} label={`The end of the log of ${instance}`} />
        ) : (
          <p class="dim">The instance sent none.</p>
        ))}
    </details>
  );
}
