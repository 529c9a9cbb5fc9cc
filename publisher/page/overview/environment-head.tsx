import type { EnvironmentView } from '../../console/api.ts';
import { ActButton } from '../acts/act-button.tsx';
import { whyNever } from '../acts/allowed.ts';
import { Foreign } from '../parts/foreign.tsx';
import { Age, ErrorBox, Mark } from '../parts/parts.tsx';
import { visibleLine } from '../parts/visible-text.ts';
import { config, environmentStates } from '../shell/state.ts';
import { shortName } from './cell-facts.ts';

/** The head of an environment's column: its name, its pause, and the red button. */
export function EnvironmentHead({ environment: { name } }: { environment: EnvironmentView }) {
  const known = config.value;
  const state = environmentStates.value.find(({ env }) => env === name);
  const pause = state?.pause;
  const act = pause === undefined ? 'pause' : 'unpause';
  const isPossible = known !== undefined && whyNever(known, act, name) === undefined;
  return (
    <div class="environment">
      <span class="name">
        <Foreign text={name} />
      </span>
      {pause !== undefined && (
        <Mark tone="warn" glyph="⏸">
          {pause.unverified ? 'PAUSED, not verified' : 'PAUSED'}
          <span class="foreign" title={visibleLine(pause.reason)}>
            <Foreign text={`${shortName(pause.by)}: ${pause.reason}`} most={100} />
          </span>
        </Mark>
      )}
      {pause !== undefined && (
        <span class="detail">
          <Age at={pause.since} />
        </span>
      )}
      {isPossible && (
        <ActButton
          act={{ act, env: name }}
          label={pause === undefined ? `Pause ${name}…` : `Unpause ${name}…`}
          {...(pause === undefined && { glyph: '⏸', kind: 'red' })}
        />
      )}
    </div>
  );
}

/** The environments that cannot be read, and why. */
export function EnvironmentTrouble() {
  return (
    <>
      {environmentStates.value.map(
        ({ env, trouble }) =>
          trouble && (
            <div key={env}>
              <h2>
                <Foreign text={env} /> cannot be read
              </h2>
              <ErrorBox error={trouble} />
            </div>
          ),
      )}
    </>
  );
}
