import { useState } from 'preact/hooks';
import type { Lane } from '../../console/api.ts';
import { Foreign } from '../parts/foreign.tsx';
import { Glyph } from '../parts/glyph.tsx';
import { Age, Mark } from '../parts/parts.tsx';
import { byNeed, byZone, factOf } from './instance-facts.ts';

/** How many rows a table has at first: those that need somebody are among them. */
const FEW = 60;

/** The instances of each environment: a glyph each by zone, and a table. */
export function Instances({ lanes }: { lanes: readonly Lane[] }) {
  return (
    <section aria-labelledby="instances">
      <h2 id="instances">Instances</h2>
      {lanes.map((lane) => (
        <InventoryOf key={lane.env} lane={lane} />
      ))}
    </section>
  );
}

function InventoryOf({ lane }: { lane: Lane }) {
  const [isOpen, setOpen] = useState(false);
  const counts = Map.groupBy(lane.inventory, (one) => factOf(one, lane).text);
  if (lane.inventory.length === 0) return null;
  return (
    <details class="inventory" open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <strong>
          <Foreign text={lane.env} />
        </strong>{' '}
        {lane.inventory.length}
        <span class="zones" aria-hidden="true">
          {byZone(lane.inventory).map(([zone, own]) => (
            <span class="zone" key={zone}>
              <Foreign text={zone} />{' '}
              {own.map((one) => {
                const { tone, glyph } = factOf(one, lane);
                return (
                  <span class={tone} key={one.instance}>
                    <Glyph of={glyph} />
                  </span>
                );
              })}
            </span>
          ))}
        </span>
        <span class="detail">{[...counts].map(([text, own]) => `${own.length} ${text}`).join(' · ')}</span>
      </summary>
      {isOpen && <InstanceTable lane={lane} />}
    </details>
  );
}

function InstanceTable({ lane }: { lane: Lane }) {
  const [isAll, showAll] = useState(false);
  const sorted = byNeed(lane);
  const shown = isAll ? sorted : sorted.slice(0, FEW);
  return (
    <>
      <table class="list">
        <caption class="unseen">Instances in {lane.env}</caption>
        <thead>
          <tr>
            <th scope="col">instance</th>
            <th scope="col">state</th>
            <th scope="col">version</th>
            <th scope="col">zone</th>
            <th scope="col">agent</th>
            <th scope="col">heartbeat</th>
            <th scope="col">notes</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((one) => {
            const { tone, glyph, text } = factOf(one, lane);
            const { agentVersion, at, pinned, failure, notice } = one.record;
            return (
              <tr key={one.instance}>
                <th scope="row">
                  <Foreign text={one.instance} />
                </th>
                <td>
                  <Mark tone={tone} glyph={glyph}>
                    {text}
                  </Mark>
                </td>
                <td>
                  <Foreign text={one.version ?? '–'} />
                </td>
                <td>
                  <Foreign text={one.zone ?? ''} />
                </td>
                <td>
                  <Foreign text={agentVersion} />
                </td>
                <td>
                  <Age at={Date.parse(at)} /> ago
                </td>
                <td>
                  {pinned && 'pinned '}
                  {one.answered && 'answered the roll call '}
                  {notice && <Foreign text={`${notice.kind} `} />}
                  {failure && <Foreign text={`${failure.code}: ${failure.message}`} />}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {sorted.length > shown.length && (
        <button type="button" onClick={() => showAll(true)}>
          Show all {sorted.length}
        </button>
      )}
    </>
  );
}
