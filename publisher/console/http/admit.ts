import type { IncomingHttpHeaders } from 'node:http';
import { type Answer, refused } from './answer.ts';

/** Which requests are looked at, by their headers alone. Pure. */

/** The most bytes of a body. */
export const MOST_BODY = 64 * 1024;

/** `localhost`, 127.0.0.1 and [::1], with any port: an ssh tunnel has another one at its other end. */
const LOOPBACK = /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/i;
const PORT = /:\d{1,5}$/;

/**
 * Refuses a request for another host. A page of another site that resolves its own name to this machine (DNS rebinding)
 * sends that name here, with an Origin that equals it and without Sec-Fetch-Site: no other rule refuses it.
 * `hosts`: the names that are allowed besides loopback, with or without a port, in lower case.
 */
export function refuseHost(host: string | undefined, hosts: readonly string[]): Answer | undefined {
  const name = host?.toLowerCase();
  if (name !== undefined) {
    if (LOOPBACK.test(name) || hosts.includes(name) || hosts.includes(name.replace(PORT, ''))) {
      return undefined;
    }
  }
  return refused(421, 'WRONG_HOST', 'this console does not answer for that host', {
    hint: 'open the address that the console printed; --allow-host NAME adds a name',
    ends: true,
  });
}

/**
 * Refuses a request that another site may have made: behind a proxy the browser adds the proxy's cookie to it. A request
 * that can change something must come from the page itself: Sec-Fetch-Site says so, in a browser without it the Origin;
 * and no page of another origin can send JSON or this header without asking first, which is never answered.
 *
 * Source: "Fetch Metadata Request Headers", W3C. `same-site` is refused: another port of this machine is the same site.
 */
export function refuseForeign(method: string, headers: IncomingHttpHeaders): Answer | undefined {
  const site = headers['sec-fetch-site'];
  if (method !== 'POST') {
    const isForeign = site === 'cross-site' || site === 'same-site';
    return isForeign ? foreign() : undefined;
  }
  if (site === undefined ? !isOwnOrigin(headers) : site !== 'same-origin') return foreign();
  if (headers['x-trigger-deploy'] !== '1') return foreign();
  return undefined;
}

function isOwnOrigin({ origin, host }: IncomingHttpHeaders): boolean {
  if (origin === undefined || host === undefined) return false;
  return ['http://', 'https://'].some((scheme) => origin.toLowerCase() === `${scheme}${host.toLowerCase()}`);
}

const foreign = () =>
  refused(403, 'FOREIGN_PAGE', 'the request does not come from the page of this console', { ends: true });

/** Refuses a body that is no JSON by its headers, or is longer than any request of the page. */
export function refuseBody(headers: IncomingHttpHeaders): Answer | undefined {
  if (!/^application\/json(; ?charset=utf-8)?$/i.test(headers['content-type'] ?? '')) return notJson();
  if (headers['content-encoding'] !== undefined) return notJson();
  const length = headers['content-length'];
  return length !== undefined && Number(length) > MOST_BODY ? tooLarge() : undefined;
}

const notJson = () => refused(415, 'NOT_JSON', 'the body of the request is no JSON', { ends: true });
export const tooLarge = () =>
  refused(413, 'TOO_LARGE', `the request has more than ${MOST_BODY / 1024} KB`, { ends: true });
