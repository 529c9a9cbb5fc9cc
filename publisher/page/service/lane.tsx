import type { Action, Lane as LaneView, Obstacle, UnderWay } from '../../console/api.ts';
import { pathOf } from '../../render/address.ts';
import { ActButton, Why } from '../acts/act-button.tsx';
import type { Act } from '../acts/act-form.ts';
import { canOvercome } from '../acts/act-world.ts';
import { whyNever } from '../acts/allowed.ts';
import { ConfirmButton, WhyNotConfirm } from '../acts/confirm-button.tsx';
import { Queue } from '../acts/queue.tsx';
import { factsOf } from '../overview/cell-facts.ts';
import { ConfigLink } from '../parts/config-link.tsx';
import { Foreign } from '../parts/foreign.tsx';
import { Age, Mark } from '../parts/parts.tsx';
import { config } from '../shell/state.ts';

/** A service in one environment: what runs, what goes on, who waits, and what can be done. */
export function Lane({ lane }: { lane: LaneView }) {
  const { env, service, desired, underWay, pause, reason, trouble, lastFailure } = lane;
  const heading = `lane-${env}`;
  return (
    <section class="lane" aria-labelledby={heading} data-env={env} data-service={service}>
      <h2 id={heading}>
        <Foreign text={env} />
        <span class="links">
          <ConfigLink
            template={config.value?.links.logs}
            values={{ service, env, since: desired?.at ?? 0 }}
            label="logs"
          />
        </span>
      </h2>
      <p class="runs">
        <b class="big">
          <Foreign text={desired?.version ?? 'nothing yet'} />
        </b>
        {factsOf({ ...lane, queue: [] })
          .filter(({ glyph }) => glyph !== '⏸' && !(underWay && glyph === '⏳'))
          .map(({ tone, glyph, text, foreign }) => (
            <Mark tone={tone} glyph={glyph} key={text}>
              {text}
              {foreign !== undefined && foreign !== trouble && (
                <>
                  {' '}
                  <Foreign text={foreign} />
                </>
              )}
            </Mark>
          ))}
      </p>
      {trouble !== undefined && (
        <p class="bad">
          <Foreign text={trouble} />
        </p>
      )}
      {desired && (
        <p class="detail">
          <Foreign text={desired.by} />, <Age at={desired.at} />
          {reason !== undefined && (
            <>
              {' · '}
              <Foreign text={reason} />
            </>
          )}
        </p>
      )}
      {underWay && <Going env={env} service={service} underWay={underWay} />}
      {lastFailure && !underWay && (
        <p class="detail">
          <a href={pathOf({ page: 'deployment', env, service, deployment: lastFailure.deployment })}>
            <Foreign text={lastFailure.version} /> {lastFailure.outcome}
          </a>
          , <Age at={lastFailure.at} /> ago
        </p>
      )}
      {pause && (
        <p class="paused">
          <Mark tone="warn" glyph="⏸">
            <strong>{pause.scope === 'environment' ? `All of ${env} is paused` : 'Paused'}</strong>
          </Mark>{' '}
          by <Foreign text={pause.by} />, <Age at={pause.since} />: <Foreign text={pause.reason} />
          {pause.unverified && ' (the document of the pause cannot be verified)'}
        </p>
      )}
      <Queue lane={lane} />
      <Buttons lane={lane} />
    </section>
  );
}

/** A deployment that goes on. */
function Going({ env, service, underWay }: { env: string; service: string; underWay: UnderWay }) {
  const { deployment, version, from, by, since, wave, waiting, done, of, driver } = underWay;
  const act = { env, service, deployment, version };
  return (
    <div class="going">
      <p>
        <Mark tone={waiting ? 'warn' : 'busy'} glyph={waiting ? '⏳' : '●'}>
          {from !== null && from !== version && (
            <>
              <Foreign text={from} /> →{' '}
            </>
          )}
          <b>
            <Foreign text={version} />
          </b>
        </Mark>{' '}
        {wave && `wave ${wave.now} of ${wave.of}, `}
        {done} of {of}
        {waiting && ' · waits for confirmation'}
      </p>
      <progress max={Math.max(1, of)} value={done} aria-label={`${done} of ${of} instances are done`} />
      <p class="detail">
        <Foreign text={by} />, <Age at={since} />
        {driver.state !== 'held' && ' · nobody drives it'}
      </p>
      <p class="buttons">
        <a class="button" href={pathOf({ page: 'deployment', env, service, deployment })}>
          Open
        </a>
        {waiting && <ConfirmButton {...act} by={by} />}
        {underWay.resumable && <Permitted act="resume" label="Resume…" kind="primary" {...act} />}
        <Permitted act="cancel" label="Cancel…" {...act} />
      </p>
      {waiting && <WhyNotConfirm {...act} by={by} />}
    </div>
  );
}

interface PermittedProps {
  act: Act;
  label: string;
  env: string;
  service: string;
  deployment?: string;
  version?: string;
  kind?: 'primary' | 'red';
}

/** A button that is only there for who may press it. */
function Permitted({ act, label, kind, ...on }: PermittedProps) {
  const known = config.value;
  if (known === undefined || whyNever(known, act, on.env, on.service) !== undefined) return null;
  return <ActButton act={{ act, ...on }} label={label} kind={kind ?? ''} />;
}

const LABELS: Readonly<Record<Action, string>> = {
  deploy: 'Deploy…',
  promote: 'Promote…',
  rollback: 'Roll back…',
  restart: 'Restart…',
  pause: 'Pause…',
  unpause: 'Unpause…',
};

/** What can be done; what cannot says why. */
function Buttons({ lane }: { lane: LaneView }) {
  const known = config.value;
  if (known === undefined) return null;
  const { env, service, promote, rollbackTo, queue } = lane;
  const isPaused = lane.pause?.scope === 'service';
  const actions: Action[] = [
    'deploy',
    ...(promote ? (['promote'] as const) : []),
    'rollback',
    'restart',
    isPaused ? 'unpause' : 'pause',
  ];
  const stopped = new Map<Action, Obstacle>(
    actions.flatMap((action) => {
      const obstacle =
        whyNever(known, action, env, service) ??
        lane.obstacles[action]?.find((one) => !canOvercome(one, action));
      return obstacle === undefined ? [] : [[action, obstacle] as const];
    }),
  );
  // One sentence for all that the same obstacle stops.
  const reasons = [...Map.groupBy(stopped, ([, { code, text }]) => `${code} ${text}`).values()];
  const idOf = (action: Action) => {
    const index = reasons.findIndex((reason) => reason.some(([one]) => one === action));
    return index === -1 ? undefined : `why-${env}-${index}`;
  };
  const waits = [...stopped.values()].some((obstacle) => obstacle.waits);
  const labelOf = (action: Action) => {
    if (action === 'promote' && promote) return `Promote ${promote.version} from ${promote.from}…`;
    return action === 'rollback' && rollbackTo !== undefined ? `Roll back to ${rollbackTo}…` : LABELS[action];
  };
  const versionOf = (action: Action) =>
    action === 'promote' ? promote?.version : action === 'rollback' ? rollbackTo : undefined;
  return (
    <>
      <p class="buttons">
        {actions.map((action) => (
          <ActButton
            key={action}
            act={{ act: action, env, service, version: versionOf(action) }}
            label={labelOf(action)}
            kind={action === 'pause' ? 'red' : ''}
            {...(action === 'pause' && { glyph: '⏸' })}
            why={idOf(action)}
          />
        ))}
        {waits && <Permitted act="queue" label="Join the line…" env={env} service={service} />}
        {waits && queue.length > 0 && <Permitted act="jump" label="Jump…" env={env} service={service} />}
      </p>
      {reasons.map(([first, ...more], index) =>
        first === undefined ? null : (
          <Why
            key={first[0]}
            id={`why-${env}-${index}`}
            what={[first, ...more].map(([action]) => LABELS[action].replace('…', '')).join(', ')}
            obstacle={first[1]}
          />
        ),
      )}
    </>
  );
}
