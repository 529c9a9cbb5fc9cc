import { type ClientRequest, get as httpGet, type IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import * as z from 'zod';
import { checkType, substitute } from './check-type.ts';

/** `body` is searched for in this many bytes at the start of the answer. */
const BODY_LIMIT = 64 * 1024;
const SHOWN_LENGTH = 80;

/** A GET. A redirect is an answer like any other: it says nothing of the health of what it points to. */
export const http = checkType({
  fields: {
    url: z.url({ protocol: /^https?$/, error: 'expected an http or https URL' }),
    status: z.int().min(100).max(599).default(200),
    body: z.string().min(1).optional(),
  },

  describe: ({ url }) => `GET ${url}`,

  async probe(check, expected, { signal }) {
    const url = new URL(substitute(check.url, expected));
    const get = url.protocol === 'https:' ? httpsGet : httpGet;
    // Without an http.Agent each try opens a new connection, as a new client would.
    const request = get(url, { agent: false, signal, headers: { 'user-agent': 'trigger-deploy' } });
    try {
      const response = await responseOf(request);
      const status = response.statusCode ?? 0;
      if (status !== check.status) return { ok: false, note: `http ${status}` };
      if (check.body === undefined) return { ok: true, note: `http ${status}` };
      const wanted = substitute(check.body, expected);
      if (await contains(response, wanted)) return { ok: true, note: `http ${status}` };
      return { ok: false, note: `http ${status} without ${wanted.slice(0, SHOWN_LENGTH)}` };
    } finally {
      request.destroy();
    }
  },
});

function responseOf(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve);
    // Never removed: a connection that breaks after the answer must not be an unhandled error.
    request.on('error', reject);
  });
}

/** Stops at the first match, or after BODY_LIMIT, so that an endless body does no harm. */
async function contains(response: IncomingMessage, wanted: string): Promise<boolean> {
  let body = Buffer.alloc(0);
  for await (const chunk of response as AsyncIterable<Buffer>) {
    body = Buffer.concat([body, chunk]).subarray(0, BODY_LIMIT);
    if (body.includes(wanted)) return true;
    if (body.length >= BODY_LIMIT) return false;
  }
  return false;
}
