import { Component } from 'preact';
import type { Cell } from '../../console/api.ts';
import { pathOf } from '../../render/address.ts';
import { Foreign } from '../parts/foreign.tsx';
import { Age, Mark } from '../parts/parts.tsx';
import { visibleLine } from '../parts/visible-text.ts';
import { useKeys } from '../shell/keys.ts';
import { query } from '../shell/router.ts';
import { DENSE_FROM, isRoomy } from '../shell/settings.ts';
import { cells, environments } from '../shell/state.ts';
import { factsOf, shortName } from './cell-facts.ts';
import { EnvironmentHead, EnvironmentTrouble } from './environment-head.tsx';
import { allRows, shownRows } from './filter.tsx';
import { FleetBar } from './fleet-bar.tsx';
import { Standing } from './standing.tsx';
import { Waits } from './waits.tsx';

/** All services in all environments, those that need a person first. */
export function OverviewScreen() {
  useKeys(KEYS);
  const at = query.value.get('at');
  if (at !== null) return <Standing at={at} />;
  return (
    <>
      <h1 class="unseen">Overview</h1>
      <Waits />
      <EnvironmentTrouble />
      <Services />
      <FleetBar />
    </>
  );
}

function Services() {
  if (cells.value === undefined) return <p class="empty">reading …</p>;
  if (allRows.value.length === 0) return <p class="empty">Nothing is deployed yet.</p>;
  const rows = shownRows.value;
  const isDense = rows.length >= DENSE_FROM && !isRoomy.value;
  return (
    <>
      <table class={isDense ? 'services dense' : 'services'}>
        <caption class="unseen">Services and what they run in each environment</caption>
        <thead>
          <tr>
            <th scope="col">service</th>
            {environments.value.map((environment) => (
              <th scope="col" key={environment.name}>
                <EnvironmentHead environment={environment} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ service, cells }) => (
            <ServiceRow key={service} service={service} cells={cells} />
          ))}
        </tbody>
      </table>
      {rows.length === 0 && <p class="empty">No service matches the filter.</p>}
    </>
  );
}

interface RowProps {
  service: string;
  cells: readonly (Cell | undefined)[];
}

/** A row is painted only when one of its cells is another one. */
class ServiceRow extends Component<RowProps> {
  override shouldComponentUpdate({ cells }: RowProps): boolean {
    return cells.length !== this.props.cells.length || cells.some((cell, i) => cell !== this.props.cells[i]);
  }

  override render({ service, cells }: RowProps) {
    return (
      <tr>
        <th scope="row">
          <a class="service" href={pathOf({ page: 'service', service })}>
            <Foreign text={service} />
          </a>
        </th>
        {cells.map((cell, i) => (
          <td key={i}>{cell === undefined ? <span class="dim">–</span> : <CellFacts cell={cell} />}</td>
        ))}
      </tr>
    );
  }
}

function CellFacts({ cell }: { cell: Cell }) {
  const { env, service, desired, underWay } = cell;
  return (
    <div class="cell" data-env={env} data-service={service}>
      <span class="cell-env">
        <Foreign text={env} />
      </span>
      <span class="versions">
        {underWay && underWay.from !== null && underWay.from !== underWay.version && (
          <>
            <Foreign text={underWay.from} most={40} />
            <span class="dim"> → </span>
          </>
        )}
        <b>
          <Foreign text={underWay?.version ?? desired?.version ?? '–'} most={40} />
        </b>
      </span>
      {factsOf(cell).map(({ tone, glyph, text, foreign, deployment }) => (
        <Mark tone={tone} glyph={glyph} key={text}>
          {deployment === undefined ? (
            text
          ) : (
            <a href={pathOf({ page: 'deployment', env, service, deployment })}>{text}</a>
          )}
          {foreign !== undefined && (
            <span class="foreign" title={visibleLine(foreign)}>
              <Foreign text={foreign} most={100} />
            </span>
          )}
        </Mark>
      ))}
      {underWay && (
        <span class="who" title={visibleLine(underWay.by)}>
          <Foreign text={shortName(underWay.by)} most={24} /> <Age at={underWay.since} />
        </span>
      )}
    </div>
  );
}

/** Moves the focus to the next or the previous service. */
function move(by: 1 | -1): void {
  const links = [...document.querySelectorAll<HTMLElement>('a.service')];
  const now = links.indexOf(document.activeElement?.closest('tr')?.querySelector('a.service') as HTMLElement);
  links[now === -1 ? 0 : Math.min(links.length - 1, Math.max(0, now + by))]?.focus();
}

const KEYS = [
  { key: 'j', text: 'the next service', run: () => move(1) },
  { key: 'k', text: 'the previous service', run: () => move(-1) },
];
