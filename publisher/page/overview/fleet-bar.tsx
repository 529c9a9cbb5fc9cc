import { signal } from '@preact/signals';
import { formatMs } from '../../../shared/duration.ts';
import type { ErrorView, RollCallView } from '../../console/api.ts';
import { Foreign } from '../parts/foreign.tsx';
import { Age, ErrorBox, Mark } from '../parts/parts.tsx';
import { announce } from '../shell/announcer.tsx';
import { errorOf, rollCall } from '../shell/request.ts';
import { setQuery } from '../shell/router.ts';
import { DENSE_FROM, isRoomy, setRoomy } from '../shell/settings.ts';
import { config, environmentStates, environments } from '../shell/state.ts';
import { shownRows } from './filter.tsx';

/** Below the services: who is really there, and what ran at another time. */
export function FleetBar() {
  return (
    <section class="fleet" aria-label="Fleet">
      <AskTheFleet />
      <form
        class="standing-form"
        onSubmit={(event) => {
          event.preventDefault();
          const at = new FormData(event.currentTarget).get('at');
          if (typeof at === 'string' && at !== '') setQuery({ at });
        }}
      >
        <label>
          what ran at <input type="datetime-local" name="at" required />
        </label>
        <button type="submit">Show</button>
      </form>
      {shownRows.value.length >= DENSE_FROM && (
        <label class="roomy">
          <input
            type="checkbox"
            checked={isRoomy.value}
            onChange={(event) => setRoomy(event.currentTarget.checked)}
          />{' '}
          large rows
        </label>
      )}
    </section>
  );
}

/** The environments that are being asked now. */
const asking = signal(false);
const failures = signal<readonly { env: string; error: ErrorView }[]>([]);
/** What this page asked, until the stream says it. */
const answers = signal<ReadonlyMap<string, RollCallView>>(new Map());

/** Asks all instances what they run. It is signed, so a console without a key cannot. */
function AskTheFleet() {
  const known = config.value;
  if (known === undefined) return null;
  const askable = known.readOnly ? [] : environments.value.filter(({ canSign }) => canSign);
  const latest = environments.value.flatMap(({ name }) => {
    const told = environmentStates.value.find(({ env }) => env === name)?.rollCall;
    const own = answers.value.get(name);
    const newest = told && own ? (told.at > own.at ? told : own) : (told ?? own);
    return newest ?? [];
  });
  return (
    <div class="ask">
      {askable.length > 0 && (
        <button
          type="button"
          aria-disabled={asking.value ? 'true' : undefined}
          onClick={() => void ask(askable.map(({ name }) => name))}
        >
          {asking.value ? 'Asking …' : 'Ask the fleet'}
        </button>
      )}
      {latest.map(({ env, answered, asked, tookMs, at }) => (
        <span key={env}>
          <Foreign text={env} />:{' '}
          <Mark tone={answered < asked ? 'bad' : 'good'} glyph={answered < asked ? '?' : '✓'}>
            {answered} of {asked}
          </Mark>{' '}
          answered in {formatMs(tookMs)}, <Age at={at} /> ago
        </span>
      ))}
      {failures.value.map(({ env, error }) => (
        <ErrorBox key={env} error={{ ...error, message: `${env}: ${error.message}` }} />
      ))}
    </div>
  );
}

async function ask(names: readonly string[]): Promise<void> {
  if (asking.peek()) return;
  asking.value = true;
  failures.value = [];
  await Promise.all(
    names.map((env) =>
      rollCall(env).then(
        (answer) => {
          answers.value = new Map(answers.peek()).set(env, answer);
        },
        (error: unknown) => {
          failures.value = [...failures.peek(), { env, error: errorOf(error) }];
        },
      ),
    ),
  );
  asking.value = false;
  const all = [...answers.peek().values()].filter(({ env }) => names.includes(env));
  const sum = (of: (one: RollCallView) => number) => all.reduce((total, one) => total + of(one), 0);
  announce(`${sum(({ answered }) => answered)} of ${sum(({ asked }) => asked)} instances answered`);
}
