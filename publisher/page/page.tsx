import { effect, signal } from '@preact/signals';
import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { ConfigView, ErrorView } from '../console/api.ts';
import { pathOf } from '../render/address.ts';
import { Act } from './acts/act.tsx';
import { DeploymentScreen } from './deployment/deployment.tsx';
import { HistoryScreen } from './history/history.tsx';
import { OverviewScreen } from './overview/overview.tsx';
import { ErrorBox } from './parts/parts.tsx';
import { ServiceScreen } from './service/service.tsx';
import { Boundary } from './shell/boundary.tsx';
import { Frame } from './shell/frame.tsx';
import { listenForKeys } from './shell/keys.ts';
import { keepLive } from './shell/live.ts';
import { errorOf, request } from './shell/request.ts';
import { go, listenForAddresses, place, query } from './shell/router.ts';
import { onNewSession, refused, storeSession, takeKey } from './shell/session.ts';
import { config, keepTime, liveness } from './shell/state.ts';

/** Why the page could not start; undefined while it starts. */
const failure = signal<ErrorView | undefined>(undefined);

function Page() {
  if (refused.value !== undefined) return <Refused />;
  if (config.value === undefined) return <Starting />;
  return (
    <Frame>
      <Boundary key={JSON.stringify(place.value)}>
        <Screen />
      </Boundary>
      <Boundary key={query.value.get('act')}>
        <Act />
      </Boundary>
    </Frame>
  );
}

function Screen() {
  switch (place.value?.page) {
    case 'overview':
      return <OverviewScreen />;
    case 'service':
      return <ServiceScreen />;
    case 'deployment':
      return <DeploymentScreen />;
    case 'history':
      return <HistoryScreen />;
    case 'find':
      return <Find key={place.value.deployment} deployment={place.value.deployment} />;
    default:
      return <h1>There is no such page</h1>;
  }
}

/** Looks where a deployment is, and goes there. */
function Find({ deployment }: { deployment: string }) {
  const [error, setError] = useState<ErrorView>();
  useEffect(() => {
    const ending = new AbortController();
    const { signal } = ending;
    request<{ env: string; service: string }>(`/api/find?${new URLSearchParams({ deployment })}`, {
      signal,
    }).then(
      ({ env, service }) => {
        if (signal.aborted) return;
        go(pathOf({ page: 'deployment', env, service, deployment }), { replace: true });
      },
      (thrown: unknown) => {
        if (!signal.aborted) setError(errorOf(thrown));
      },
    );
    return () => ending.abort();
  }, []);
  return error === undefined ? <p>Looking for {deployment} …</p> : <ErrorBox error={error} />;
}

function Starting() {
  return (
    <main class="alone">
      <h1>trigger-deploy</h1>
      {failure.value === undefined ? <p>reading …</p> : <ErrorBox error={failure.value} />}
      {failure.value !== undefined && (
        <button type="button" onClick={() => void start()}>
          Try again
        </button>
      )}
    </main>
  );
}

function Refused() {
  return (
    <main class="alone">
      <h1>trigger-deploy</h1>
      {failure.value !== undefined && isOfKey(failure.value) && <ErrorBox error={failure.value} />}
      {refused.value === 'no-session' ? (
        <p>
          This page has no session. Open the address that <code>trigger-deploy console</code> printed in its
          terminal; it works once. To get another one, press Enter there, or start the console again.
        </p>
      ) : (
        <p>You are not logged in, or the login has expired. Reload the page to log in.</p>
      )}
      <button type="button" onClick={() => location.reload()}>
        Reload
      </button>
    </main>
  );
}

/** Whether the key of the address was refused: it is wrong, or somebody has used it. */
const isOfKey = ({ code }: ErrorView) => code === 'KEY_USED' || code === 'KEY_WRONG';

/** Exchanges the key of the address, if there is one, and asks what the page may show. */
async function start(): Promise<void> {
  failure.value = undefined;
  try {
    const key = takeKey();
    if (key !== undefined) {
      const { session } = await request<{ session: string }>('/api/session', { body: { key } });
      storeSession(session);
    }
    config.value = await request<ConfigView>('/api/config');
    refused.value = undefined;
  } catch (error) {
    failure.value = errorOf(error);
  }
}

listenForAddresses();
listenForKeys();
keepTime();
onNewSession(() => void start());
// An address with a key that is opened in this tab changes only the fragment: the page is not loaded anew.
addEventListener('hashchange', () => {
  if (location.hash.startsWith('#k=')) void start();
});
const root = document.getElementById('page');
if (root !== null) render(<Page />, root);
await start();
keepLive();
// After an outage the console may be another process, with another config.
let isOld = config.peek() === undefined;
effect(() => {
  if (liveness.value.kind === 'stale') isOld = true;
  if (liveness.value.kind !== 'live' || !isOld) return;
  isOld = false;
  void start();
});
