import { useEffect } from 'preact/hooks';
import type { Cell, UnderWay } from '../../console/api.ts';
import { pathOf } from '../../render/address.ts';
import { ActButton } from '../acts/act-button.tsx';
import { Foreign } from '../parts/foreign.tsx';
import { Age, Mark } from '../parts/parts.tsx';
import { timeOfDay } from '../parts/times.ts';
import { announce } from '../shell/announcer.tsx';
import { config } from '../shell/state.ts';
import { shortName } from './cell-facts.ts';
import { allRows } from './filter.tsx';
import { waitKind } from './overview-rows.ts';

/** What waits for this person, above all others; nothing without it. It does not obey the filter. */
export function Waits() {
  const known = config.value;
  if (known === undefined) return null;
  const waiting = allRows.value
    .filter(({ rank }) => rank === 'waits')
    .flatMap(({ cells }) => cells)
    .flatMap((cell) => {
      const kind = cell && waitKind(cell, known);
      return cell?.underWay && kind ? [{ cell, underWay: cell.underWay, kind }] : [];
    });
  const names = waiting.map(({ cell }) => `${cell.service} in ${cell.env}`).join(', ');
  useEffect(() => {
    if (names !== '') announce(`waits for you: ${names}`);
  }, [names]);
  if (waiting.length === 0) return null;
  return (
    <section class="waits" aria-labelledby="waits">
      <h2 id="waits">Waits for you</h2>
      <ul>
        {waiting.map(({ cell, underWay, kind }) => (
          <li key={underWay.deployment}>
            <Wait cell={cell} underWay={underWay} kind={kind} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Wait({ cell, underWay, kind }: { cell: Cell; underWay: UnderWay; kind: 'confirm' | 'resume' }) {
  const { env, service } = cell;
  const { deployment, version, by } = underWay;
  const act = { env, service, deployment, version };
  return (
    <>
      <p>
        <Mark tone={kind === 'confirm' ? 'warn' : 'bad'} glyph={kind === 'confirm' ? '⏳' : '!'}>
          <a href={pathOf({ page: 'deployment', env, service, deployment })}>
            <strong>
              <Foreign text={service} /> <Foreign text={version} most={64} />
            </strong>{' '}
            in <Foreign text={env} />
          </a>
        </Mark>
        <span class="detail">
          {kind === 'confirm' ? <GateText underWay={underWay} /> : <StandsText underWay={underWay} />} · begun
          by <Foreign text={shortName(by)} most={64} />
        </span>
      </p>
      <span class="buttons">
        {kind === 'confirm' ? (
          <ActButton act={{ act: 'confirm', ...act }} label="Confirm…" kind="primary" />
        ) : (
          <ActButton act={{ act: 'resume', ...act }} label="Resume…" kind="primary" />
        )}
        <ActButton act={{ act: 'cancel', ...act }} label="Cancel…" />
      </span>
    </>
  );
}

function GateText({ underWay: { waiting, wave } }: { underWay: UnderWay }) {
  if (waiting === undefined) return null;
  const { after, since, until } = waiting;
  const what =
    after === 0 ? 'prepared' : after === 1 ? 'canary well' : `${after} of ${wave?.of ?? after} waves well`;
  return (
    <>
      {what} for <Age at={since} />
      {until !== undefined && ` · continues by itself at ${timeOfDay(until)}`}
    </>
  );
}

function StandsText({ underWay: { done, of, driver, since } }: { underWay: UnderWay }) {
  return (
    <>
      nobody drives it, {done} of {of} done, last heartbeat <Age at={driver.beatAt ?? since} /> ago
    </>
  );
}
