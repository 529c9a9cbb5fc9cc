import { useEffect, useMemo } from 'preact/hooks';
import { countsText } from '../../render/words.ts';
import { CommandLine } from '../acts/copy.tsx';
import { Foreign } from '../parts/foreign.tsx';
import { Mark } from '../parts/parts.tsx';
import { announce } from '../shell/announcer.tsx';
import { place } from '../shell/router.ts';
import { deployment } from '../shell/state.ts';
import { DeploymentHead, isUnderWay } from './deployment-head.tsx';
import { Checks, Decisions, Outcome } from './deployment-outcome.tsx';
import { GlyphStrip } from './glyph-strip.tsx';
import { InstanceRows } from './instance-rows.tsx';
import { isPrepared, preparedOf, standingOf, type Wave, wavesOf } from './stages.ts';

/** A deployment, live: who drives it, its waves, and the instances that a person must look at first. */
export function DeploymentScreen() {
  const at = place.value;
  const state = deployment.value;
  const rows = state?.table.rows;
  const waves = useMemo(() => {
    return state === undefined
      ? []
      : wavesOf(state.view.record, state.table, state.stages, state.view.underWay);
  }, [state?.view.record, state?.view.underWay, state?.stages, state?.table.started, rows?.size]);
  useEffect(() => {
    if (state !== undefined && rows !== undefined && isUnderWay(state))
      announce(countsText([...rows.values()]));
  }, [rows]);
  if (at?.page !== 'deployment') return null;
  if (state === undefined || rows === undefined) {
    return (
      <>
        <h1>
          <Foreign text={`${at.service} in ${at.env}`} />
        </h1>
        <p class="empty">reading …</p>
      </>
    );
  }
  return (
    <>
      <DeploymentHead state={state} />
      <CommandLine argv={[isUnderWay(state) ? 'watch' : 'show', at.deployment, `--env=${at.env}`]} />
      <Outcome state={state} />
      <Waves waves={waves} rows={rows} isRolling={state.view.record.strategy === 'rolling'} />
      <Checks state={state} />
      <Decisions state={state} />
      <GlyphStrip waves={waves} rows={rows} />
      <p class="counts">
        {rows.size === 0 ? 'No instance has answered yet.' : countsText([...rows.values()])}
      </p>
      <InstanceRows table={state.table} last={state.view.lastTimes} />
    </>
  );
}

/** `prepared ✓ 9   canary ✓ 1   wave 2 ● 3`. */
function Waves({
  waves,
  rows,
  isRolling,
}: {
  waves: readonly Wave[];
  rows: Parameters<typeof standingOf>[1];
  isRolling: boolean;
}) {
  if (!isRolling || waves.length === 0) return null;
  const prepared = preparedOf(rows.values(), waves);
  const isReady = isPrepared(waves) || prepared === rows.size;
  return (
    <ol class="stages" aria-label="Waves">
      <li>
        prepared{' '}
        <Mark tone={isReady ? 'good' : 'busy'} glyph={isReady ? '✓' : '●'}>
          {prepared}
        </Mark>
      </li>
      {waves.map((wave) => {
        const { tone, glyph, word } = standingOf(wave, rows);
        return (
          <li key={wave.name}>
            {wave.name}{' '}
            <Mark tone={tone} glyph={glyph}>
              {wave.instances.length}
              <span class="unseen"> {word}</span>
            </Mark>
          </li>
        );
      })}
    </ol>
  );
}
