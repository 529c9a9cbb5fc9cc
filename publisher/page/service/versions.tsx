import { useState } from 'preact/hooks';
import type { VersionView } from '../../console/api.ts';
import { ActButton } from '../acts/act-button.tsx';
import { whyNever } from '../acts/allowed.ts';
import { BuildLink } from '../parts/config-link.tsx';
import { Foreign } from '../parts/foreign.tsx';
import { Age, Mark } from '../parts/parts.tsx';
import type { Tone } from '../parts/tone.ts';
import { config, environments } from '../shell/state.ts';

/** How many versions are shown at first. */
const FEW = 10;

/** The pushed versions, the newest first, and where each of them ran. */
export function Versions({ versions, service }: { versions: readonly VersionView[]; service: string }) {
  const [isAll, showAll] = useState(false);
  const shown = isAll ? versions : versions.slice(0, FEW);
  const known = config.value;
  const first = environments.value.find(
    ({ name }) => known !== undefined && whyNever(known, 'deploy', name, service) === undefined,
  );
  return (
    <section aria-labelledby="versions">
      <h2 id="versions">Versions</h2>
      {versions.length === 0 ? (
        <p class="empty">No version was pushed.</p>
      ) : (
        <table class="list">
          <thead>
            <tr>
              <th scope="col">version</th>
              <th scope="col">pushed</th>
              <th scope="col">by</th>
              <th scope="col">where</th>
              {first && (
                <th scope="col">
                  <span class="unseen">actions</span>
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {shown.map(({ version, pushedAt, pushedBy, build, places }) => (
              <tr key={version}>
                <th scope="row">
                  <Foreign text={version} />
                </th>
                <td>{pushedAt !== undefined && <Age at={pushedAt} />}</td>
                <td>
                  {pushedBy !== undefined && <Foreign text={pushedBy} />}{' '}
                  {build !== undefined && <BuildLink build={build} />}
                </td>
                <td>
                  <span class="places">
                    {places.map(({ env, state }) => (
                      <Mark key={env} tone={PLACES[state].tone} glyph={PLACES[state].glyph}>
                        <Foreign text={env} />
                        {PLACES[state].words}
                      </Mark>
                    ))}
                  </span>
                </td>
                {first && (
                  <td>
                    <ActButton
                      act={{ act: 'deploy', env: first.name, service, version }}
                      label={`Deploy to ${first.name}…`}
                    />
                  </td>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {versions.length > shown.length && (
        <button type="button" onClick={() => showAll(true)}>
          Show all {versions.length}
        </button>
      )}
    </section>
  );
}

const PLACES: Readonly<
  Record<VersionView['places'][number]['state'], { tone: Tone; glyph: string; words: string }>
> = {
  desired: { tone: 'good', glyph: '✓', words: ' now' },
  succeeded: { tone: 'dim', glyph: '✓', words: ' earlier' },
  'under-way': { tone: 'busy', glyph: '●', words: ' under way' },
  failed: { tone: 'bad', glyph: '✗', words: ' failed' },
};
