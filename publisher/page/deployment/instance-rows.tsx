import { useMemo, useState } from 'preact/hooks';
import { isFailing, isOver, isRollingBack, type Row, type View } from '../../render/deployment-view.ts';
import {
  countsText,
  failureOf,
  fold,
  noteText,
  reasonText,
  styleOf,
  versionsText,
} from '../../render/words.ts';
import { Foreign } from '../parts/foreign.tsx';
import { memo } from '../parts/memo.ts';
import { Mark } from '../parts/parts.tsx';
import { timeOfDay } from '../parts/times.ts';
import type { Tone } from '../parts/tone.ts';
import { serverNow } from '../shell/state.ts';
import { LogTail } from './log-tail.tsx';
import { stepTimesText } from './step-times.ts';

/** So many instances are live rows; the others are glyphs and counts. */
const MOST_ROWS = 60;

type Times = Readonly<Record<string, number>> | undefined;

/** The instances, those that a person must look at first; folded as the terminal's table folds. */
export function InstanceRows({ table, last }: { table: View; last: Times }) {
  const [all, setAll] = useState<{ rows: readonly Row[]; at: number }>();
  const { rows } = table;
  const names = useMemo(() => [...rows.keys()].sort(), [table.started, rows.size]);
  const { shown, folded } = useMemo(
    () =>
      fold(
        names.flatMap((name) => rows.get(name) ?? []),
        MOST_ROWS,
      ),
    [rows, names],
  );
  if (rows.size === 0) return null;
  const failing = shown.filter(({ row }) => isFailing(row));
  const lines = [...failing, ...shown.filter(({ row }) => !isFailing(row))];
  const firsts = new Map<string, string>();
  const isSplit = all === undefined && folded.length > 0;
  return (
    <>
      <table class="list deployment-rows">
        <caption class="unseen">The instances that need a look come first</caption>
        <Head />
        <tbody>
          {lines.map(({ row, others }) => (
            <InstanceRow
              key={row.instance}
              row={row}
              more={others.length}
              same={sameAs(row, firsts)}
              last={last}
            />
          ))}
        </tbody>
      </table>
      {isSplit && (
        <p class="folded">
          … {folded.length} more: {countsText(folded)}{' '}
          <button
            type="button"
            onClick={() => setAll({ rows: names.flatMap((name) => rows.get(name) ?? []), at: serverNow() })}
          >
            Show all
          </button>
        </p>
      )}
      {all !== undefined && (
        <section aria-label="All instances">
          <p>
            All {all.rows.length} instances, as of {timeOfDay(all.at)}. This list does not change by itself.{' '}
            <button type="button" onClick={() => setAll(undefined)}>
              Hide
            </button>
          </p>
          <AllRows rows={all.rows} />
        </section>
      )}
    </>
  );
}

const Head = () => (
  <thead>
    <tr>
      <th scope="col">instance</th>
      <th scope="col">state</th>
      <th scope="col">versions</th>
      <th scope="col">details</th>
    </tr>
  </thead>
);

/** The first instance that is shown with the same failure; undefined for that one itself. */
function sameAs(row: Row, firsts: Map<string, string>): string | undefined {
  if (!isFailing(row) || !isOver(row) || row.report?.error === undefined) return undefined;
  const key = failureOf(row);
  const first = firsts.get(key);
  if (first === undefined) firsts.set(key, row.instance);
  return first;
}

interface RowProps {
  row: Row;
  more: number;
  same: string | undefined;
  last: Times;
}

const InstanceRow = memo(function InstanceRow({ row, more, same, last }: RowProps) {
  const isBack = isRollingBack(row);
  const { glyph, tone } = styleOf(isBack ? 'rolled-back' : row.state);
  const { instance, zone, report } = row;
  const isDone = isFailing(row) && isOver(row);
  return (
    <tr>
      <th scope="row">
        <Foreign text={instance} />
        {more > 0 && ` and ${more} more`}
        {zone !== undefined && more === 0 && (
          <span class="dim zone">
            {' '}
            <Foreign text={zone} />
          </span>
        )}
      </th>
      <td>
        <Mark tone={tone as Tone} glyph={glyph}>
          {row.state}
          {isBack && ' (rolling back)'}
        </Mark>
      </td>
      <td>
        <Foreign text={versionsText(row)} />
      </td>
      <td>
        {isDone ? <Failure row={row} same={same} /> : <Progress row={row} last={last} />}
        {report?.error !== undefined && <LogTail report={report} />}
      </td>
    </tr>
  );
});

function Failure({ row, same }: { row: Row; same: string | undefined }) {
  const { error } = row.report ?? {};
  if (same !== undefined && error !== undefined) {
    return <Foreign text={`${error.code}, same as ${same}`} />;
  }
  return (
    <>
      <Foreign text={reasonText(row)} />
      {error?.hint !== undefined && (
        <span class="hint">
          {' → '}
          <Foreign text={error.hint} />
        </span>
      )}
    </>
  );
}

function Progress({ row, last }: { row: Row; last: Times }) {
  const note = noteText(row);
  const steps = stepTimesText(row.report?.timings ?? {}, last);
  return (
    <>
      {note !== '' && <Foreign text={note} />} {steps !== '' && <span class="dim">{steps}</span>}
    </>
  );
}

/** Every instance as it was when a person asked for it: plain text, which does not change. */
const AllRows = memo(function AllRows({ rows }: { rows: readonly Row[] }) {
  return (
    <table class="list">
      <Head />
      <tbody>
        {rows.map((row) => (
          <tr key={row.instance}>
            <th scope="row">
              <Foreign text={row.instance} />
            </th>
            <td>
              <Mark tone={styleOf(row.state).tone as Tone} glyph={styleOf(row.state).glyph}>
                {row.state}
              </Mark>
            </td>
            <td>
              <Foreign text={versionsText(row)} />
            </td>
            <td>
              <Foreign text={isFailing(row) && isOver(row) ? reasonText(row) : noteText(row)} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
});
