import type { View } from '../../render/deployment-view.ts';
import { isRollingBack } from '../../render/deployment-view.ts';
import { styleOf } from '../../render/words.ts';
import { memo } from '../parts/memo.ts';
import type { Wave } from './stages.ts';

/** So many glyphs are drawn anew when one of them changes. */
const BLOCK = 25;

/** A glyph for each instance, in the order of the waves. It is not read out: the counts and the rows say it. */
export function GlyphStrip({ waves, rows }: { waves: readonly Wave[]; rows: View['rows'] }) {
  return (
    <div class="strip" aria-hidden="true">
      {waves.map(({ name, instances }) => (
        <span class="strip-wave" key={name}>
          {blocksOf(instances).map((block, i) => (
            <Block key={i} runs={runsOf(block, rows)} />
          ))}
        </span>
      ))}
    </div>
  );
}

const blocks = new WeakMap<readonly string[], readonly (readonly string[])[]>();

function blocksOf(instances: readonly string[]): readonly (readonly string[])[] {
  const known = blocks.get(instances);
  if (known !== undefined) return known;
  const made = Array.from({ length: Math.ceil(instances.length / BLOCK) }, (_, i) =>
    instances.slice(i * BLOCK, (i + 1) * BLOCK),
  );
  blocks.set(instances, made);
  return made;
}

/** Glyphs side by side with the same tone, as `good ✓✓✓|busy ●●`: one text, so that it is easily compared. */
function runsOf(instances: readonly string[], rows: View['rows']): string {
  let text = '';
  let last = '';
  for (const instance of instances) {
    const row = rows.get(instance);
    const { glyph, tone } = styleOf(
      row === undefined ? 'waiting' : isRollingBack(row) ? 'rolled-back' : row.state,
    );
    text += tone === last ? glyph : `${text === '' ? '' : '|'}${tone} ${glyph}`;
    last = tone;
  }
  return text;
}

const Block = memo(function Block({ runs }: { runs: string }) {
  return (
    <span class="strip-block">
      {runs.split('|').map((run, i) => {
        const [tone, glyphs] = run.split(' ');
        return (
          <span key={i} class={tone}>
            {glyphs}
          </span>
        );
      })}
    </span>
  );
});
