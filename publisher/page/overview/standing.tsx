import { useEffect, useState } from 'preact/hooks';
import type { ErrorView, StandingView } from '../../console/api.ts';
import { pathOf } from '../../render/address.ts';
import { Foreign } from '../parts/foreign.tsx';
import { ErrorBox, Mark } from '../parts/parts.tsx';
import { dateAndTime } from '../parts/times.ts';
import { errorOf, request } from '../shell/request.ts';
import { environments } from '../shell/state.ts';

/** What ran where at a time: `?at=2026-11-28T14:02`, in the time of this browser, or ms since the epoch. */
export function Standing({ at }: { at: string }) {
  const [answer, setAnswer] = useState<StandingView | ErrorView | undefined>();
  // What is no date is no number either.
  const time = new Date(/^\d{1,15}$/.test(at) ? Number(at) : at).getTime();
  useEffect(() => {
    if (Number.isNaN(time)) return;
    const ending = new AbortController();
    setAnswer(undefined);
    request<StandingView>(`/api/standing?${new URLSearchParams({ at: String(time) })}`, {
      signal: ending.signal,
    }).then(setAnswer, (error: unknown) => {
      if (!ending.signal.aborted) setAnswer(errorOf(error));
    });
    return () => ending.abort();
  }, [time]);
  if (Number.isNaN(time)) {
    return <ErrorBox error={{ code: 'USAGE', message: `not a time: ${at.slice(0, 40)}` }} />;
  }
  return (
    <>
      <h1>What ran at {dateAndTime(time)}</h1>
      <p>
        <a href="/">Back to now</a>
      </p>
      {answer === undefined ? (
        <p class="empty">reading …</p>
      ) : 'code' in answer ? (
        <ErrorBox error={answer} />
      ) : (
        <>
          {answer.trouble?.map(({ env, error }) => (
            <ErrorBox key={env} error={{ ...error, message: `${env} cannot be read: ${error.message}` }} />
          ))}
          <StandingTable answer={answer} />
        </>
      )}
    </>
  );
}

function StandingTable({ answer }: { answer: StandingView }) {
  const services = [...Map.groupBy(answer.places, ({ service }) => service)].sort(([a], [b]) =>
    a < b ? -1 : 1,
  );
  const unread = new Set(answer.trouble?.map(({ env }) => env));
  if (services.length === 0) {
    // What cannot be read is not empty.
    return unread.size > 0 ? null : <p class="empty">Nothing had been deployed by then.</p>;
  }
  return (
    <table class="services">
      <caption class="unseen">The versions that were desired at that time</caption>
      <thead>
        <tr>
          <th scope="col">service</th>
          {environments.value.map(({ name }) => (
            <th scope="col" key={name}>
              <Foreign text={name} />
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {services.map(([service, places]) => (
          <tr key={service}>
            <th scope="row">
              <a class="service" href={pathOf({ page: 'service', service })}>
                <Foreign text={service} />
              </a>
            </th>
            {environments.value.map(({ name: env }) => (
              <td key={env}>
                <Place env={env} place={places.find((one) => one.env === env)} isUnread={unread.has(env)} />
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface PlaceProps {
  env: string;
  place: StandingView['places'][number] | undefined;
  /** The environment could not be read. */
  isUnread: boolean;
}

/** What is not known must not look like no version. */
function Place({ env, place, isUnread }: PlaceProps) {
  if (isUnread) {
    return (
      <Mark tone="bad" glyph="?">
        not read
      </Mark>
    );
  }
  if (place === undefined || (place.version === null && !place.unknown && !place.underWay)) {
    return <span class="dim">–</span>;
  }
  const { service, version, deployment, underWay, unknown } = place;
  return (
    <div class="cell">
      <span class="cell-env">
        <Foreign text={env} />
      </span>
      {unknown !== undefined ? (
        <span>
          <Mark tone="bad" glyph="?">
            unknown
          </Mark>
          {': '}
          <Foreign text={unknown} />
        </span>
      ) : version === null ? (
        <span class="dim">–</span>
      ) : deployment === undefined ? (
        <Foreign text={version} />
      ) : (
        <a href={pathOf({ page: 'deployment', env, service, deployment })}>
          <Foreign text={version} />
        </a>
      )}
      {underWay && (
        <a href={pathOf({ page: 'deployment', env, service, deployment: underWay.deployment })}>
          → <Foreign text={underWay.version} />
        </a>
      )}
    </div>
  );
}
