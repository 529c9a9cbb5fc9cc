import type { ComponentChildren } from 'preact';
import type { ErrorView } from '../../console/api.ts';
import { minute } from '../shell/state.ts';
import { Foreign } from './foreign.tsx';
import { Glyph } from './glyph.tsx';
import { age, dateAndTime } from './times.ts';
import type { Tone } from './tone.ts';

/** Small parts that all screens use. */

/** A state: its glyph, then its word, in its colour. The glyph is not read out: the word says it. */
export function Mark({ tone, glyph, children }: { tone: Tone; glyph: string; children: ComponentChildren }) {
  return (
    <span class={`mark ${tone}`}>
      {glyph !== '' && <Glyph of={glyph} />}
      {children}
    </span>
  );
}

/** `6 min`, with the exact time in its title. It changes at most once a minute. */
export function Age({ at }: { at: number }) {
  if (Number.isNaN(new Date(at).getTime())) return <span>an unknown time</span>;
  return (
    <time dateTime={new Date(at).toISOString()} title={dateAndTime(at)}>
      {age(at, minute.value)}
    </time>
  );
}

/** An error: what, and what to do. */
export function ErrorBox({ error }: { error: ErrorView }) {
  return (
    <div class="error" role="alert">
      <Mark tone="bad" glyph="✗">
        <strong>{error.code}</strong>
      </Mark>{' '}
      <Foreign text={error.message} />
      {error.hint !== undefined && (
        <p class="hint">
          <Foreign text={error.hint} />
        </p>
      )}
    </div>
  );
}
