import { useMemo } from 'preact/hooks';
import { useKeys } from './keys.ts';
import { attentionCount } from './overview-rows.ts';
import { query, setQuery } from './router.ts';

/** The filter of the overview: by name, and only what needs attention. Both are part of the address. */
export function Filter() {
  useKeys(useMemo(() => KEYS, []));
  const only = query.value.has('attention');
  const count = attentionCount.value;
  return (
    <search class="filter">
      <input
        id={ID}
        type="search"
        placeholder="filter /"
        aria-label="Filter services by name"
        value={query.value.get('q') ?? ''}
        onInput={(event) => setQuery({ q: event.currentTarget.value }, { replace: true })}
      />
      <button type="button" class="attention" aria-pressed={only} onClick={toggle}>
        attention {count}
      </button>
    </search>
  );
}

const ID = 'filter';

function toggle(): void {
  setQuery({ attention: query.peek().has('attention') ? undefined : '1' }, { replace: true });
}

const KEYS = [
  { key: '/', text: 'filter the services', run: () => document.getElementById(ID)?.focus() },
  { key: 'a', text: 'show only what needs attention, or everything', run: toggle },
];
