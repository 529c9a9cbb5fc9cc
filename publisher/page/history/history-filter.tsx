import { go, query, setQuery } from '../shell/router.ts';
import { environments } from '../shell/state.ts';

/** Which past deployments are shown: the filters are the address. */
export function HistoryFilter() {
  const shown = query.value;
  return (
    <search class="history-filter">
      <label>
        environment
        <select
          value={shown.get('env') ?? ''}
          onChange={(event) => setQuery({ env: event.currentTarget.value })}
        >
          <option value="">all</option>
          {environments.value.map(({ name }) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label>
        service
        <input
          id="history-service"
          type="search"
          value={shown.get('service') ?? ''}
          placeholder="all"
          maxLength={63}
          spellcheck={false}
          onChange={(event) => setQuery({ service: event.currentTarget.value.trim() })}
        />
      </label>
      <label>
        since
        <select
          value={shown.get('since') ?? ''}
          onChange={(event) => setQuery({ since: event.currentTarget.value })}
        >
          {sinces(shown.get('since')).map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </select>
      </label>
      <label>
        <input
          type="checkbox"
          checked={shown.get('only') === 'failed'}
          onChange={(event) => setQuery({ only: event.currentTarget.checked ? 'failed' : undefined })}
        />{' '}
        only failed
      </label>
      <form
        class="standing-form"
        onSubmit={(event) => {
          event.preventDefault();
          const at = new FormData(event.currentTarget).get('at');
          if (typeof at === 'string' && at !== '') go(`/?${new URLSearchParams({ at })}`);
        }}
      >
        <label>
          what ran at <input type="datetime-local" name="at" required />
        </label>
        <button type="submit">Show</button>
      </form>
    </search>
  );
}

const SINCES = [
  ['', 'ever'],
  ['1d', '1 day'],
  ['7d', '7 days'],
  ['30d', '30 days'],
] as const;

/** The times to choose from, with the one of the address. */
function sinces(given: string | null): readonly (readonly [string, string])[] {
  if (given === null || SINCES.some(([value]) => value === given)) return SINCES;
  return [...SINCES, [given, given.slice(0, 40)]];
}
