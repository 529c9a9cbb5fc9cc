import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { Filter } from '../overview/filter.tsx';
import { Foreign } from '../parts/foreign.tsx';
import { ErrorBox } from '../parts/parts.tsx';
import { timeOfDay } from '../parts/times.ts';
import { Announcer, announce } from './announcer.tsx';
import { KeyHelp, showKeys } from './key-help.tsx';
import { areKeysOn, switchKeys } from './keys.ts';
import { errorOf, request } from './request.ts';
import { place, query } from './router.ts';
import { asOf, config, liveness, serverTime, trouble } from './state.ts';

/** What is around each screen: the header, the footer, and what is wrong with the console itself. */
export function Frame({ children }: { children: ComponentChildren }) {
  const isStale = liveness.value.kind === 'stale';
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <Header />
      <main id="main" tabIndex={-1} class={isStale ? 'stale' : ''}>
        {isStale && <Stale />}
        {trouble.value !== undefined && <ErrorBox error={trouble.value} />}
        {children}
      </main>
      <Footer />
      <KeyHelp />
      <Announcer />
    </>
  );
}

function Header() {
  const page = place.value?.page;
  return (
    <header class="top">
      <nav aria-label="Pages">
        <a class="brand" href="/" aria-current={page === 'overview' ? 'page' : undefined}>
          trigger-deploy
        </a>
        <a href="/h" aria-current={page === 'history' ? 'page' : undefined}>
          History
        </a>
      </nav>
      {page === 'overview' && !query.value.has('at') && <Filter />}
      <AsOf />
      <Person />
    </header>
  );
}

function AsOf() {
  const live = liveness.value;
  const isLost = live.kind === 'stale' && trouble.value === undefined;
  useEffect(() => {
    if (!isLost) return;
    announce('the connection to the console is lost');
    return () => announce('the connection to the console is back');
  }, [isLost]);
  // Without a stream, a page is as of when it was asked for.
  const page = place.value?.page;
  if (page === undefined || page === 'history' || page === 'find') return null;
  if (asOf.value === undefined)
    return <span class="as-of">{live.kind === 'connecting' ? 'reading …' : ''}</span>;
  return (
    <span class="as-of">
      as of {timeOfDay(asOf.value)} · {live.kind === 'connecting' ? 'reading …' : live.kind}
    </span>
  );
}

function Stale() {
  const live = liveness.value;
  if (live.kind !== 'stale') return null;
  // The console answers, and says above why there is nothing to show.
  const answers = trouble.value !== undefined;
  if (answers && asOf.value === undefined) return null;
  return (
    <p class="stale-note">
      <span aria-hidden="true">! </span>
      Stale since {timeOfDay(serverTime(live.since))}: the console{' '}
      {answers ? 'cannot read it' : 'does not answer'}. This page tries again by itself.
    </p>
  );
}

function Person() {
  const known = config.value;
  if (known === undefined) return null;
  return (
    <span class="person">
      <Foreign text={known.person.name} />
      {known.readOnly && ' · read-only'}
    </span>
  );
}

function Footer() {
  const known = config.value;
  return (
    <footer class="bottom">
      <button type="button" class="quiet" onClick={showKeys}>
        Keys
      </button>
      <label>
        <input
          type="checkbox"
          checked={areKeysOn.value}
          onChange={(event) => switchKeys(event.currentTarget.checked)}
        />{' '}
        one-letter keys
      </label>
      {known?.mode === 'loopback' && (
        <button type="button" class="quiet" onClick={() => void endSessions()}>
          End all sessions
        </button>
      )}
      {known !== undefined && <span>trigger-deploy {known.version}</span>}
    </footer>
  );
}

async function endSessions(): Promise<void> {
  try {
    await request('/api/end', { body: {} });
    // The next request is refused, and says how to come back.
    location.reload();
  } catch (error) {
    trouble.value = errorOf(error);
  }
}
