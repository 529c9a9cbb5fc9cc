import { pathOf } from '../../render/address.ts';
import { Foreign, ForeignBlock } from '../parts/foreign.tsx';
import { Mark } from '../parts/parts.tsx';
import { timeOfDay } from '../parts/times.ts';
import { isUnderWay } from './deployment-head.tsx';
import type { DeploymentState } from './deployment-state.ts';

/** The outcome in words, what to do about it, and the deployment that rolled it back or that it rolls back. */
export function Outcome({ state }: { state: DeploymentState }) {
  const { record } = state.view;
  const { settled } = state.table;
  const { env, service, rolledBackBy, rollbackOf, unsigned } = record;
  const to = (deployment: string) => pathOf({ page: 'deployment', env, service, deployment });
  const text = settled?.text ?? record.outcome;
  return (
    <>
      {unsigned && (
        <p>
          <Mark tone="warn" glyph="!">
            not signed
          </Mark>
          : an old publisher wrote this record, and whoever may write to the bucket could have changed it.
        </p>
      )}
      {rollbackOf !== undefined && (
        <p>
          It rolls back <a href={to(rollbackOf)}>another deployment</a>.
        </p>
      )}
      {!isUnderWay(state) && (
        <div class="outcome">
          {text !== undefined && (
            <p>
              <Foreign text={text} />
            </p>
          )}
          {settled?.hint !== undefined && (
            <p class="hint">
              → <Foreign text={settled.hint} />
            </p>
          )}
          {rolledBackBy !== undefined && (
            <p>
              <a href={to(rolledBackBy)}>The rollback</a> followed.
            </p>
          )}
        </div>
      )}
    </>
  );
}

const CHECKS = {
  started: { tone: 'busy', glyph: '●', word: 'goes on' },
  passed: { tone: 'good', glyph: '✓', word: 'passed' },
  failed: { tone: 'bad', glyph: '✗', word: 'failed' },
} as const;

/** The automatic checks: alarms and verify. */
export function Checks({ state }: { state: DeploymentState }) {
  const { checks } = state.stages;
  const isSkipped = state.table.started?.skippedChecks === true;
  if (checks.size === 0 && !isSkipped) return null;
  return (
    <ul class="checks" aria-label="Checks">
      {isSkipped && (
        <li>
          <Mark tone="warn" glyph="!">
            checks skipped
          </Mark>
        </li>
      )}
      {[...checks.values()].map(({ check, state: how, text, output }) => {
        // That the alarms were well is part of the outcome.
        const isOver = how === 'started' && state.table.settled?.outcome === 'succeeded';
        const { tone, glyph, word } = CHECKS[isOver ? 'passed' : how];
        return (
          <li key={check}>
            {check}{' '}
            <Mark tone={tone} glyph={glyph}>
              {word}
            </Mark>{' '}
            <Foreign text={text} />
            {output !== undefined && (
              <details>
                <summary>its output</summary>
                <ForeignBlock text={output} label="The output of verify" />
              </details>
            )}
          </li>
        );
      })}
    </ul>
  );
}

/** Who confirmed or cancelled it, and why. */
export function Decisions({ state }: { state: DeploymentState }) {
  const { decisions } = state.view;
  if (decisions.length === 0) return null;
  return (
    <ul class="decisions" aria-label="Decisions">
      {decisions.map(({ kind, by, at, reason }) => (
        <li key={`${kind} ${at}`}>
          {kind === 'confirm' ? 'confirmed' : 'cancelled'} by <Foreign text={by} /> {timeOfDay(at)}
          {reason !== undefined && (
            <>
              {': '}
              <Foreign text={reason} />
            </>
          )}
        </li>
      ))}
    </ul>
  );
}
