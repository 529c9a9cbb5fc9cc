import type { IncomingHttpHeaders } from 'node:http';
import { parseBoundedJson } from '../../../shared/bounded-json.ts';
import type { Person } from '../../record/origin.ts';
import { placeOf } from '../../render/address.ts';
import { visibleTo } from '../people/visible.ts';
import type { Grant } from '../permissions.ts';
import type { Services } from '../services.ts';
import { MOST_BODY, refuseBody, refuseForeign, refuseHost, tooLarge } from './admit.ts';
import { type Answer, refused } from './answer.ts';
import { mayNotLook, type Route } from './route.ts';
import { apiRoutes } from './routes.ts';

/** A request as the server read it, and as tests make one. */
export interface Asked {
  method: string;
  /** The target of the request line, as it was sent. */
  target: string;
  headers: IncomingHttpHeaders;
  /** Every value of each header. */
  headersDistinct: NodeJS.Dict<string[]>;
  /** Reads the body, at most `most` bytes; undefined when it is longer. */
  body(most: number): Promise<Uint8Array | undefined>;
  /** Aborts when nobody waits for the answer any more. */
  signal: AbortSignal;
}

/** Answers a request: the host before anything else, then whether the address is known, then who asks. */
export function createRouter(services: Services): (asked: Asked) => Promise<Answer> {
  const { hosts, assets, people } = services;
  const routes = apiRoutes(services);

  return async (asked) => {
    const { method, target, headers } = asked;
    const { host = [] } = asked.headersDistinct;
    const wrongHost = refuseHost(host.length === 1 ? host[0] : undefined, hosts);
    if (wrongHost !== undefined) return wrongHost;
    if (!target.startsWith('/')) return refused(400, 'USAGE', 'the target is no path', { ends: true });
    if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') return wrongMethod('GET, HEAD, POST');
    const [path = '', query = ''] = target.split(/\?(.*)/s, 2);
    const route = routes.get(path);
    if (route !== undefined) return await answerRoute(route, new URLSearchParams(query), asked);
    const file = placeOf(path) !== undefined ? assets.shell(headers) : assets.file(path, headers);
    if (file === undefined) return refused(404, 'NO_SUCH_ADDRESS', 'there is nothing at this address');
    return method === 'POST' ? wrongMethod('GET, HEAD') : file;
  };

  async function answerRoute(route: Route, query: URLSearchParams, asked: Asked): Promise<Answer> {
    const { method, headers, headersDistinct, signal } = asked;
    const isChange = method === 'POST';
    if (isChange !== (route.method === 'POST')) return wrongMethod(isChange ? 'GET, HEAD' : 'POST');
    const foreign = refuseForeign(method, headers) ?? (isChange ? refuseBody(headers) : undefined);
    if (foreign !== undefined) return foreign;
    let person: Person | undefined;
    let until: number | undefined;
    if (route.needsPerson) {
      const known = await people.personOf(headersDistinct, signal);
      if ('refusal' in known) {
        return { status: known.refusal.status, json: { error: known.refusal.error }, ends: isChange };
      }
      ({ person, until } = known);
    }
    const body = isChange ? await bodyOf(asked) : { value: undefined };
    if ('refusal' in body) return body.refusal;
    const grants = person === undefined ? [] : people.grantsOf(person);
    const answer = await route.answer({
      ...{ query, body: body.value, headersDistinct, person, until, grants, signal },
    });
    return route.needsPerson ? inSight(answer, grants) : answer;
  }
}

/** Nothing of what a route answers is sent that the person may not look at, whatever the route thought of. */
function inSight(answer: Answer, grants: readonly Grant[]): Answer {
  const visible = visibleTo(grants);
  if (visible === undefined || answer.json === undefined) return answer;
  const json = visible(answer.json);
  return json === undefined ? mayNotLook() : { ...answer, json };
}

async function bodyOf(asked: Asked): Promise<{ value: unknown } | { refusal: Answer }> {
  const bytes = await asked.body(MOST_BODY);
  if (bytes === undefined) return { refusal: tooLarge() };
  try {
    return { value: parseBoundedJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) };
  } catch {
    return { refusal: refused(400, 'NOT_JSON', 'the body of the request is no JSON') };
  }
}

const wrongMethod = (allow: string) =>
  refused(405, 'WRONG_METHOD', 'this address does not take that method', { headers: { allow }, ends: true });
