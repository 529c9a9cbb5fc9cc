import type { Obstacle } from '../../console/api.ts';
import { Foreign } from '../parts/foreign.tsx';
import { Age, Mark } from '../parts/parts.tsx';
import { liveness } from '../shell/state.ts';
import { withFlag } from './act-fields.tsx';
import { type ActForm, OPTIONS } from './act-form.ts';
import { prevents, type World } from './act-world.ts';

/** What stands in the way, and what to do about it; who waits already; what a decision is about. */
export function Situation({
  form,
  world,
  obstacles,
  change,
}: {
  form: ActForm;
  world: World | undefined;
  obstacles: readonly Obstacle[];
  change(more: Partial<ActForm>): void;
}) {
  return (
    <>
      {world === undefined && <p class="dim">{nothingKnown(form)}</p>}
      <Decision form={form} world={world} />
      {obstacles.length > 0 && (
        <ul class="obstacles">
          {obstacles.map((one) => (
            <li key={`${one.code} ${one.text}`}>
              <Mark tone={prevents(one, form) ? 'bad' : 'dim'} glyph={prevents(one, form) ? '✗' : '○'}>
                <Foreign text={one.text} />
              </Mark>
              {one.hint !== undefined && (
                <>
                  {': '}
                  <Foreign text={one.hint} />
                </>
              )}{' '}
              {one.waits && prevents(one, form) && OPTIONS[form.act].includes('queue') && (
                <button type="button" onClick={() => change({ flags: withFlag(form.flags, 'queue', true) })}>
                  Join the queue
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
      {world !== undefined && world.queue.length > 0 && OPTIONS[form.act].includes('queue') && (
        <p>
          in the queue:{' '}
          {world.queue.map(({ who, command, version, since }, i) => (
            <span key={`${who} ${since}`}>
              {i > 0 && ' · '}
              {i + 1}. <Foreign text={`${who} ${version ?? command}`.slice(0, 200)} /> <Age at={since} />
            </span>
          ))}
        </p>
      )}
    </>
  );
}

const nothingKnown = ({ service }: ActForm) =>
  service === undefined && liveness.value.kind === 'live'
    ? 'This page does not show what runs there: the command is checked when you press.'
    : 'reading what runs there …';

/** What is confirmed, cancelled, resumed, paused or unpaused. */
function Decision({ form, world }: { form: ActForm; world: World | undefined }) {
  const { act, env, service } = form;
  const { underWay, pause } = world ?? {};
  switch (act) {
    case 'pause':
      return (
        <p>
          No deployment of {service === undefined ? 'any service' : <Foreign text={service} />} begins in{' '}
          <Foreign text={env} />, and no further instance switches, until somebody unpauses. What runs keeps
          running.
        </p>
      );
    case 'unpause':
      return pause === undefined ? null : (
        <p>
          Paused by <Foreign text={pause.by} /> for <Age at={pause.since} />: <Foreign text={pause.reason} />
        </p>
      );
    case 'confirm':
    case 'cancel':
    case 'resume':
      return underWay === undefined ? null : (
        <p>
          <Foreign text={underWay.from ?? 'nothing'} /> → <Foreign text={underWay.version} />, begun by{' '}
          <Foreign text={underWay.by} /> <Age at={underWay.since} /> ago: {underWay.done} of {underWay.of}{' '}
          instances are done
          {underWay.wave && `, wave ${underWay.wave.now} of ${underWay.wave.of}`}.
          {act === 'cancel' && ' In waves, what has switched rolls back; all at once, it can be too late.'}
        </p>
      );
    default:
      return null;
  }
}
