import { useEffect, useState } from 'preact/hooks';
import { clockText } from '../../../shared/duration.ts';
import { pathOf } from '../../render/address.ts';
import { ActButton } from '../acts/act-button.tsx';
import { whyNever } from '../acts/allowed.ts';
import { ConfirmButton, WhyNotConfirm } from '../acts/confirm-button.tsx';
import { BuildLink } from '../parts/config-link.tsx';
import { Foreign } from '../parts/foreign.tsx';
import { Age, Mark } from '../parts/parts.tsx';
import type { Tone } from '../parts/tone.ts';
import type { ActQuery } from '../shell/router.ts';
import { config, serverNow } from '../shell/state.ts';
import type { DeploymentState } from './deployment-state.ts';

/** What a deployment changes, how it stands, who began and who drives it, and what a person can do. */
export function DeploymentHead({ state }: { state: DeploymentState }) {
  const { record } = state.view;
  const { env, service, previous, version, action, issuedBy, from, reason, promotedFrom, resumedBy } = record;
  const via = typeof from.via === 'string' ? from.via : undefined;
  return (
    <>
      <div class="title">
        <h1>
          <a href={pathOf({ page: 'service', service })}>
            <Foreign text={service} />
          </a>{' '}
          {previous !== null && previous !== version && (
            <>
              <Foreign text={previous} /> →{' '}
            </>
          )}
          <Foreign text={version} /> in <Foreign text={env} />
          {action !== 'deploy' && ` (${action})`}
        </h1>
        <span class="standing">
          <State state={state} /> <Elapsed state={state} />
        </span>
      </div>
      <p class="origin">
        <Foreign text={issuedBy} />
        {via !== undefined && (
          <>
            , via <Foreign text={via} />
          </>
        )}
        {from.build !== undefined && (
          <>
            {' · '}
            <BuildLink build={from.build} />
          </>
        )}
        {resumedBy !== undefined && (
          <>
            {' · resumed by '}
            <Foreign text={resumedBy} />
          </>
        )}
        {promotedFrom !== undefined && ` · promoted from ${promotedFrom}`}
        {' · '}
        <Age at={Date.parse(record.announcedAt)} /> ago
        {reason !== undefined && (
          <>
            {' · '}
            <Foreign text={reason} />
          </>
        )}
      </p>
      <div class="drive">
        <Driver state={state} />
        <Buttons state={state} />
      </div>
      {isUnderWay(state) && state.view.underWay?.waiting && <WhyNotConfirm {...waitOf(record)} />}
    </>
  );
}

const waitOf = ({ env, service, deployment, version, issuedBy: by }: DeploymentState['view']['record']) => ({
  ...{ env, service, deployment, version, by },
});

export const isUnderWay = ({ view, table }: DeploymentState) =>
  table.settled === undefined && view.record.status === 'announced';

const OUTCOMES: Readonly<Record<string, { tone: Tone; glyph: string }>> = {
  succeeded: { tone: 'good', glyph: '✓' },
  failed: { tone: 'bad', glyph: '✗' },
  'timed-out': { tone: 'bad', glyph: '?' },
  cancelled: { tone: 'dim', glyph: '–' },
};

function State({ state }: { state: DeploymentState }) {
  const { record, underWay } = state.view;
  if (!isUnderWay(state)) {
    const outcome = state.table.settled?.outcome ?? record.status;
    const { tone, glyph } = OUTCOMES[outcome] ?? { tone: 'dim' as const, glyph: '' };
    return (
      <Mark tone={tone} glyph={glyph}>
        {outcome}
      </Mark>
    );
  }
  if (underWay?.waiting) {
    const { until, after } = underWay.waiting;
    return (
      <Mark tone="warn" glyph="⏳">
        waits for confirmation{after === 0 ? ', nothing has switched' : ''}
        {until !== undefined && ` until ${new Date(until).toLocaleTimeString()}, then continues`}
      </Mark>
    );
  }
  const wave = underWay?.wave;
  return (
    <Mark tone="busy" glyph="●">
      {wave === undefined ? 'under way' : `wave ${wave.now} of ${wave.of}`}
    </Mark>
  );
}

/** `0:41`: how long it has gone on, or took. */
function Elapsed({ state }: { state: DeploymentState }) {
  const now = useSecond(isUnderWay(state));
  const { record } = state.view;
  const { settled } = state.table;
  const began = Date.parse(record.announcedAt);
  const ended = record.settledAt === undefined ? undefined : Date.parse(record.settledAt) - began;
  const ms = isUnderWay(state) ? now - began : settled?.tookMs || record.tookMs || ended;
  return ms === undefined ? null : <span class="elapsed">{clockText(ms)}</span>;
}

function Driver({ state }: { state: DeploymentState }) {
  const isGoing = isUnderWay(state);
  const now = useSecond(isGoing);
  const { driver, underWay } = state.view;
  if (!isGoing) return null;
  const { who, via, beatAt } = driver;
  const beat = beatAt === undefined ? '' : `${Math.max(0, Math.round((now - beatAt) / 1000))} s ago`;
  if (driver.state === 'held') {
    return (
      <p>
        driven by <Foreign text={via ?? who ?? 'a publisher'} />
        {driver.isHere ? ' (this console)' : ''}
        {beat !== '' && `, alive ${beat}`}
      </p>
    );
  }
  return (
    <p>
      <Mark tone="bad" glyph="!">
        nobody drives it
      </Mark>
      {who !== undefined && (
        <>
          : <Foreign text={who} /> gave no heartbeat
          {beatAt !== undefined && (
            <>
              {' '}
              for <Age at={beatAt} />
            </>
          )}
        </>
      )}
      {underWay?.resumable
        ? '. It stands still until somebody resumes it.'
        : '. Each instance ends by itself; the next deployment, or watch, records the outcome.'}
    </p>
  );
}

function Buttons({ state }: { state: DeploymentState }) {
  const known = config.value;
  const { record, underWay, driver } = state.view;
  const { env, service, deployment: id, version } = record;
  if (known === undefined) return null;
  const may = (act: ActQuery['act']) => whyNever(known, act, env, service) === undefined;
  const decide = (act: ActQuery['act']) => ({ act, env, service, deployment: id, version });
  if (!isUnderWay(state)) {
    // On the page of the service, the dialog knows what runs there now.
    const at = pathOf({ page: 'service', service });
    const link = (query: Record<string, string>) =>
      `${at}?${new URLSearchParams({ env, service, ...query })}`;
    return (
      <span class="buttons">
        {may('deploy') && record.action === 'deploy' && (
          <a class="button" data-act="deploy" href={link({ act: 'deploy', version })}>
            Deploy <Foreign text={version} /> again…
          </a>
        )}
        {may('rollback') && (
          <a class="button" data-act="rollback" href={link({ act: 'rollback' })}>
            Roll back…
          </a>
        )}
      </span>
    );
  }
  const isStanding = driver.state !== 'held' && underWay?.resumable === true;
  return (
    <span class="buttons">
      {isStanding && may('resume') && <ActButton act={decide('resume')} label="Resume…" kind="primary" />}
      {underWay?.waiting && <ConfirmButton {...waitOf(record)} />}
      {may('cancel') && <ActButton act={decide('cancel')} label="Cancel…" />}
      {may('pause') && <ActButton act={{ act: 'pause', env, service }} label="Pause…" glyph="⏸" />}
    </span>
  );
}

/** The server's time, each second while `isGoing`. */
function useSecond(isGoing: boolean): number {
  const [now, setNow] = useState(serverNow());
  useEffect(() => {
    if (!isGoing) return;
    const timer = setInterval(() => {
      if (!document.hidden) setNow(serverNow());
    }, 1000);
    return () => clearInterval(timer);
  }, [isGoing]);
  return now;
}
