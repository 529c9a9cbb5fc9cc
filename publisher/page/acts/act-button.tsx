import type { Obstacle } from '../../console/api.ts';
import { Foreign } from '../parts/foreign.tsx';
import { Glyph } from '../parts/glyph.tsx';
import { type ActQuery, openAct } from '../shell/router.ts';

/**
 * A button that opens the dialog of an action. One that is not possible stays reachable by keyboard, and names the text
 * that says why.
 */
export function ActButton({
  act,
  label,
  glyph,
  kind = '',
  why,
}: {
  act: ActQuery;
  label: string;
  glyph?: string;
  kind?: 'primary' | 'red' | '';
  /** The id of the text that says why it is not possible. */
  why?: string | undefined;
}) {
  return (
    <button
      type="button"
      class={`act ${kind}`}
      data-act={act.act}
      aria-disabled={why === undefined ? undefined : 'true'}
      aria-describedby={why}
      onClick={() => why === undefined && openAct(act)}
    >
      {glyph !== undefined && <Glyph of={glyph} />}
      {label}
    </button>
  );
}

/** Why something is not possible, and what to do about it. */
export function Why({ id, obstacle, what }: { id: string; obstacle: Obstacle; what: string }) {
  return (
    <p id={id} class="why">
      <strong>{what}:</strong> <Foreign text={obstacle.text} />
      {obstacle.hint !== undefined && (
        <>
          {' · '}
          <Foreign text={obstacle.hint} />
        </>
      )}
    </p>
  );
}
