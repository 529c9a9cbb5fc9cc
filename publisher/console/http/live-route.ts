import { NEVER } from '../../../shared/abort.ts';
import { maySee, maySeeService, visibleTo } from '../people/visible.ts';
import type { OpenSubject } from '../ports.ts';
import type { Services } from '../services.ts';
import { type Connection, refused } from './answer.ts';
import { MOST_STREAMS, MOST_STREAMS_EACH } from './limits.ts';
import { checkQuery, QUESTIONS } from './query.ts';
import { mayNotLook, nameOf, noEnvironment, type Route } from './route.ts';
import { PROXIED_MS, writeStream } from './stream.ts';

/** GET /api/live: a stream for one page. */
export function liveRoute(services: Services): Route {
  const { looks, watches, runs, streams, people, sessions, environments, now } = services;
  return {
    method: 'GET',
    needsPerson: true,
    async answer({ query, grants, person, headersDistinct, until = Number.POSITIVE_INFINITY }) {
      const asked = checkQuery(QUESTIONS.live, query);
      if ('refusal' in asked) return asked.refusal;
      const about = asked.value;
      const place = about.about === 'deployment' ? about : undefined;
      if (place !== undefined) {
        if (!maySee(grants, place.env, place.service)) return mayNotLook();
        if (!(await environments.names()).includes(place.env)) return noEnvironment(place.env);
      }
      if (about.about === 'service' && !maySeeService(grants, about.service)) return mayNotLook();
      if (streams.count() >= MOST_STREAMS) {
        return refused(503, 'TOO_MANY', `${MOST_STREAMS} pages look at this console already`);
      }
      if (people.mode === 'proxy' && streams.count(nameOf(person)) >= MOST_STREAMS_EACH) {
        return refused(429, 'TOO_MANY', `${MOST_STREAMS_EACH} pages of yours look at this console already`);
      }
      const key = Object.values(about).join(' ');
      const open: OpenSubject =
        about.about === 'overview'
          ? looks.overview()
          : about.about === 'service'
            ? looks.service(about.service)
            : looks.deployment(about);
      const stream = (connection: Connection) => {
        connection.onGone(streams.add(nameOf(person), () => connection.end()));
        writeStream(connection, {
          join: (show) => watches.join(key, open, show),
          runs: (show) => runs.watch(show),
          visible: visibleTo(grants),
          // Behind a proxy the stream ends when the token of its request does: the next one has a new token.
          ...(sessions === undefined
            ? { isAdmitted: async () => true, endsAfterMs: Math.min(PROXIED_MS, until - now()) }
            : { isAdmitted: async () => 'person' in (await people.personOf(headersDistinct, NEVER)) }),
          explain: async (error) => (await services.view(error)).error,
          now,
        });
      };
      return {
        status: 200,
        // A proxy that collects an answer, or packs it, would hold the stream back.
        headers: { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' },
        stream,
      };
    },
  };
}
