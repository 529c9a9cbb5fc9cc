import { computed } from '@preact/signals';
import { useKeys } from '../shell/keys.ts';
import { query, setQuery } from '../shell/router.ts';
import { cells, config } from '../shell/state.ts';
import { filtered, rowsOf } from './overview-rows.ts';

/** All services, those that need a person first. */
export const allRows = computed(() =>
  config.value === undefined ? [] : rowsOf(cells.value?.values() ?? [], config.value),
);
/** Those that the address asks for. */
export const shownRows = computed(() =>
  filtered(allRows.value, {
    text: query.value.get('q') ?? '',
    attention: query.value.has('attention'),
  }),
);
const attentionCount = computed(() => filtered(allRows.value, { text: '', attention: true }).length);

const ID = 'filter';

/** The filter of the overview: by name, and only what needs attention. Both are part of the address. */
export function Filter() {
  useKeys(KEYS);
  const count = attentionCount.value;
  return (
    <search class="filter">
      <input
        id={ID}
        type="search"
        placeholder="/ filter"
        aria-label="Filter services by name"
        value={query.value.get('q') ?? ''}
        onInput={(event) => setQuery({ q: event.currentTarget.value }, { replace: true })}
        onKeyDown={(event) => event.key === 'Escape' && event.currentTarget.blur()}
      />
      <button
        type="button"
        class={count > 0 ? 'attention some' : 'attention'}
        aria-pressed={query.value.has('attention')}
        onClick={toggle}
      >
        attention {count}
      </button>
    </search>
  );
}

function toggle(): void {
  setQuery({ attention: query.peek().has('attention') ? undefined : '1' }, { replace: true });
}

const KEYS = [
  { key: '/', text: 'filter the services', run: () => document.getElementById(ID)?.focus() },
  { key: 'a', text: 'show only what needs attention, or everything', run: toggle },
];
