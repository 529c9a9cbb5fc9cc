import { useEffect, useMemo, useState } from 'preact/hooks';
import { formatMs } from '../../../shared/duration.ts';
import type { ErrorView, HistoryView, PauseChangeView } from '../../console/api.ts';
import type { PastDeployment } from '../../record/local-deployment.ts';
import { pathOf } from '../../render/address.ts';
import { badgesOf } from '../../render/badges.ts';
import { BuildLink } from '../parts/config-link.tsx';
import { Foreign } from '../parts/foreign.tsx';
import { ErrorBox, Mark } from '../parts/parts.tsx';
import { dateAndTime } from '../parts/times.ts';
import type { Tone } from '../parts/tone.ts';
import { useKeys } from '../shell/keys.ts';
import { errorOf, request } from '../shell/request.ts';
import { query } from '../shell/router.ts';
import { HistoryFilter } from './history-filter.tsx';
import { questionOf, rowsOf } from './history-rows.ts';

const KEYS = [
  { key: '/', text: 'filter by service', run: () => document.getElementById('history-service')?.focus() },
];

/** Past deployments of all services, and the pauses between them. */
export function HistoryScreen() {
  useKeys(KEYS);
  const question = questionOf(query.value).toString();
  const { pages, error, isReading, readOlder } = usePages(question);
  const rows = useMemo(() => rowsOf(pages), [pages]);
  const trouble = pages[0]?.trouble ?? [];
  const hasMore = pages.at(-1)?.before !== undefined;
  return (
    <>
      <h1>History</h1>
      <HistoryFilter />
      {trouble.map(({ env, error: why }) => (
        <ErrorBox key={env} error={{ ...why, message: `${env} cannot be read: ${why.message}` }} />
      ))}
      {error !== undefined && <ErrorBox error={error} />}
      {rows.length > 0 && (
        <table class="list history-rows">
          <thead>
            <tr>
              {['when', 'service', 'change', 'outcome', 'who, why', 'waves', 'took'].map((name) => (
                <th scope="col" key={name}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) =>
              row.kind === 'pause' ? (
                <PauseRow key={`${row.pause.env} ${row.pause.service} ${row.at}`} pause={row.pause} />
              ) : (
                <DeploymentRow key={row.deployment.deployment} past={row.deployment} />
              ),
            )}
          </tbody>
        </table>
      )}
      {isReading && <p class="empty">reading …</p>}
      {!isReading && error === undefined && rows.length === 0 && <p class="empty">No such deployment.</p>}
      {hasMore && !isReading && (
        <p>
          <button type="button" onClick={readOlder}>
            Older
          </button>
        </p>
      )}
    </>
  );
}

/** The pages that were read so far for `question`; another question begins anew. */
function usePages(question: string) {
  const [state, setState] = useState<{ pages: readonly HistoryView[]; before?: string | undefined }>({
    pages: [],
  });
  const [error, setError] = useState<ErrorView>();
  const [isReading, setReading] = useState(true);
  const [of, setOf] = useState(question);
  if (of !== question) {
    setOf(question);
    setState({ pages: [] });
  }
  useEffect(() => {
    const ending = new AbortController();
    const asked = new URLSearchParams(question);
    if (state.before !== undefined) asked.set('before', state.before);
    setReading(true);
    setError(undefined);
    request<HistoryView>(`/api/history?${asked}`, { signal: ending.signal }).then(
      (page) => {
        setState(({ pages }) => ({ pages: [...pages, page], before: state.before }));
        setReading(false);
      },
      (failure: unknown) => {
        if (ending.signal.aborted) return;
        setError(errorOf(failure));
        setReading(false);
      },
    );
    return () => ending.abort();
  }, [of, state.before]);
  const readOlder = () => setState(({ pages }) => ({ pages, before: pages.at(-1)?.before }));
  return { pages: state.pages, error, isReading, readOlder };
}

const OUTCOMES: Readonly<Record<PastDeployment['status'], { glyph: string; tone: Tone; word: string }>> = {
  announced: { glyph: '●', tone: 'busy', word: 'under way' },
  succeeded: { glyph: '✓', tone: 'good', word: 'succeeded' },
  failed: { glyph: '✗', tone: 'bad', word: 'failed' },
  'timed-out': { glyph: '?', tone: 'bad', word: 'timed out' },
  cancelled: { glyph: '–', tone: 'dim', word: 'cancelled' },
};

function DeploymentRow({ past }: { past: PastDeployment }) {
  const { env, service, deployment, previous, version, action, status, outcome, rolling, tookMs } = past;
  const { glyph, tone, word } = OUTCOMES[status];
  const at = Date.parse(past.announcedAt);
  return (
    <tr>
      <td>
        <time dateTime={past.announcedAt}>{dateAndTime(at)}</time>
      </td>
      <th scope="row">
        <a href={pathOf({ page: 'service', service })}>
          <Foreign text={service} />
        </a>{' '}
        <span class="dim">
          in <Foreign text={env} />
        </span>
      </th>
      <td>
        <a href={pathOf({ page: 'deployment', env, service, deployment })}>
          <Foreign text={previous === null || previous === version ? version : `${previous} → ${version}`} />
        </a>
        {action !== 'deploy' && ` (${action})`}
        {badgesOf(past).map((badge) => (
          <span key={badge}>
            {' '}
            <span class="badge">{badge}</span>
          </span>
        ))}
      </td>
      <td>
        <Mark tone={tone} glyph={glyph}>
          {word}
        </Mark>
        {outcome !== undefined && status !== 'succeeded' && (
          <p class="dim">
            <Foreign text={outcome} />
          </p>
        )}
        <OtherDeployment past={past} />
      </td>
      <td>
        <Foreign text={past.issuedBy} />
        {past.from.build !== undefined && (
          <>
            {' '}
            <BuildLink build={past.from.build} />
          </>
        )}
        {past.reason !== undefined && (
          <p class="dim">
            <Foreign text={past.reason} />
          </p>
        )}
      </td>
      <td>{rolling === undefined ? '' : `${rolling.waves.length} waves`}</td>
      <td>{tookMs ? formatMs(tookMs) : ''}</td>
    </tr>
  );
}

function OtherDeployment({ past: { env, service, rolledBackBy, rollbackOf } }: { past: PastDeployment }) {
  const other = rolledBackBy ?? rollbackOf;
  if (other === undefined) return null;
  return (
    <p>
      <a href={pathOf({ page: 'deployment', env, service, deployment: other })}>
        {rolledBackBy === undefined ? 'what it rolled back' : 'its rollback'}
      </a>
    </p>
  );
}

function PauseRow({ pause: { env, service, paused, by, at, reason } }: { pause: PauseChangeView }) {
  return (
    <tr class="pause-row">
      <td>
        <time dateTime={new Date(at).toISOString()}>{dateAndTime(at)}</time>
      </td>
      <td colSpan={6}>
        <Mark tone="warn" glyph={paused ? '⏸' : ''}>
          {paused ? 'paused' : 'unpaused'}
        </Mark>{' '}
        <Foreign text={service === undefined ? `all of ${env}` : `${service} in ${env}`} /> by{' '}
        <Foreign text={by} />
        {reason !== undefined && (
          <>
            {': '}
            <Foreign text={reason} />
          </>
        )}
      </td>
    </tr>
  );
}
