import { signal } from '@preact/signals';

/**
 * The key of this page's session. On loopback the console prints an address with a key in its fragment, which is never
 * sent and good for one exchange. What it is exchanged for lies in localStorage, which is separate for each port; a
 * cookie would be sent to every port of the host. Behind a proxy there is none: the proxy says who the person is.
 */

const STORED = 'trigger-deploy session';
const RELOADED = 'trigger-deploy reloaded';
/** A second reload within this time would not help either, ms. */
const RELOAD_ONCE_MS = 60_000;

/** Why the page has to be opened anew; undefined while it is admitted, or when that is not known yet. */
export const refused = signal<'no-session' | 'no-login' | undefined>(undefined);

/** The key of the address, once: it is taken out of the address and the history of the browser. */
export function takeKey(): string | undefined {
  const key = /^#k=([\w-]{20,200})$/.exec(location.hash)?.[1];
  if (key !== undefined) history.replaceState(history.state, '', location.pathname + location.search);
  return key;
}

export function storeSession(session: string): void {
  localStorage.setItem(STORED, session);
  refused.value = undefined;
}

/** The header of a request; empty without a session. */
export function authorization(): Record<string, string> {
  const session = localStorage.getItem(STORED);
  return session === null ? {} : { authorization: `Bearer ${session}` };
}

/**
 * The console, or the proxy before it, does not know who this is. A login that expired comes back by one reload, which
 * keeps the address. A session that ended does not: the person must open the address that the console printed.
 */
export function notAdmitted(code: string | undefined): void {
  if (code === 'NO_SESSION') {
    localStorage.removeItem(STORED);
    refused.value = 'no-session';
    return;
  }
  const last = Number(sessionStorage.getItem(RELOADED) ?? 0);
  if (Date.now() - last < RELOAD_ONCE_MS) {
    refused.value = 'no-login';
    return;
  }
  sessionStorage.setItem(RELOADED, String(Date.now()));
  location.reload();
}

/** Another tab got a session: this one goes on with it. */
export function onNewSession(run: () => void): void {
  addEventListener('storage', ({ key, newValue }) => {
    if (key === STORED && newValue !== null && refused.value !== undefined) run();
  });
}
