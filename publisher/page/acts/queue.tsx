import type { Lane } from '../../console/api.ts';
import { shortName } from '../overview/cell-facts.ts';
import { Foreign } from '../parts/foreign.tsx';
import { Age } from '../parts/parts.tsx';
import { config, runs } from '../shell/state.ts';
import { mayLeave } from './allowed.ts';
import { LeaveLine } from './leave-line.tsx';

/** Who waits to change a service, and what of it this console carries out: that can be taken out of the line here. */
export function Queue({ lane: { env, service, queue } }: { lane: Lane }) {
  const known = config.value;
  const own = runs.value.filter(
    (run) =>
      run.env === env && run.service === service && run.state === 'queued' && known && mayLeave(known, run),
  );
  if (queue.length === 0 && own.length === 0) return null;
  return (
    <div class="queue">
      <h3>In line</h3>
      <ol>
        {queue.map(({ who, command, version, since, jumped }) => (
          <li key={`${who} ${since}`}>
            <Foreign text={shortName(who)} /> <Foreign text={version ?? command} /> (<Age at={since} />)
            {jumped !== undefined && (
              <>
                {' '}
                jumped: <Foreign text={jumped} />
              </>
            )}
          </li>
        ))}
      </ol>
      {own.map(({ run, by, line, place }) => (
        <p key={`${by} ${run}`} class="buttons">
          <span class="detail">
            this console waits for <Foreign text={shortName(by)} />
            {place && `, place ${place.place} of ${place.of}`}: <Foreign text={line} most={120} />
          </span>
          <LeaveLine run={run} by={by} />
        </p>
      ))}
    </div>
  );
}
