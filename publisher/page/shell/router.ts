import { computed, signal } from '@preact/signals';
import { type Place, placeOf } from '../../render/address.ts';
import { ACT_PARAMETERS, type Act } from '../acts/act-form.ts';

/**
 * Every state of the page is its address, so that it can be sent to somebody. A link never acts: it opens a page or
 * fills in a dialog.
 */

const address = signal(current());

/** The page of the address; undefined where there is none. */
export const place = computed<Place | undefined>(() => placeOf(address.value.path));
/** The parameters of the address. */
export const query = computed(() => new URLSearchParams(address.value.query));

function current() {
  return { path: location.pathname, query: location.search };
}

/** A dialog that is open: `?act=deploy&env=prd&service=payments`. */
export interface ActQuery {
  act: Act;
  env: string;
  /** Left out for a pause of the whole environment. */
  service?: string | undefined;
  version?: string | undefined;
  /** The environment that `promote` takes the version from. */
  from?: string | undefined;
  deployment?: string | undefined;
}

/** Goes to an address of this page. `replace`: the browser's back button skips the address that it replaces. */
export function go(to: string, { replace = false } = {}): void {
  if (to === location.pathname + location.search) return;
  if (replace) history.replaceState(history.state, '', to);
  else history.pushState({ isOurs: true }, '', to);
  const before = address.peek();
  address.value = current();
  if (before.path !== address.peek().path) scrollTo(0, 0);
}

/** Changes parameters of the address; undefined removes one. */
export function setQuery(
  changes: Readonly<Record<string, string | undefined>>,
  options: { replace?: boolean } = {},
): void {
  go(addressWith(changes), options);
}

/** The address with other parameters: undefined removes one. */
function addressWith(changes: Readonly<Record<string, string | undefined>>): string {
  const params = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || value === '') params.delete(name);
    else params.set(name, value);
  }
  const text = params.toString();
  return location.pathname + (text === '' ? '' : `?${text}`);
}

/** Opens a dialog: its address can be sent to somebody, who finds it filled in. */
export function openAct(act: ActQuery): void {
  const none = Object.fromEntries(ACT_PARAMETERS.map((name) => [name, undefined]));
  setQuery({ ...none, ...act });
}

/** Whether the address was reached on this page, and not by a link from elsewhere. */
export const isOpenedHere = () => (history.state as { isOurs?: true } | null)?.isOurs === true;

/** Closes the dialog: back where it was opened, or the address without it. */
export function closeAct(): void {
  if (!query.peek().has('act')) return;
  if (isOpenedHere()) history.back();
  else setQuery(Object.fromEntries(ACT_PARAMETERS.map((name) => [name, undefined])), { replace: true });
}

/** Listens for clicks on links of this page and for the browser's back button. Call once. */
export function listenForAddresses(): void {
  addEventListener('popstate', () => {
    address.value = current();
  });
  addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest?.('a');
    if (link?.target !== '' || link.origin !== location.origin) return;
    // A link within the page, as "skip to the content".
    if (link.hash !== '') return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}
