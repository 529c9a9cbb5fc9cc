import { type ClientRequest, get as httpGet, type IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import * as z from 'zod';
import { checkType, substitute } from './check-type.ts';

/** The check looks for `body` in this many bytes, at the start of the answer. */
const BODY_LIMIT = 64 * 1024;
const SHOWN_LENGTH = 80;

/** A GET request. It does not follow redirects: the status of the redirect itself is checked. */
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
    // This listener stays: if the connection breaks after the answer, the error must not be an unhandled one.
    request.on('error', reject);
  });
}

/** Whether the body contains `wanted`. Reads until the first match, or BODY_LIMIT bytes: a body may be endless. */
async function contains(response: IncomingMessage, wanted: string): Promise<boolean> {
  let body = Buffer.alloc(0);
  for await (const chunk of response as AsyncIterable<Buffer>) {
    body = Buffer.concat([body, chunk]).subarray(0, BODY_LIMIT);
    if (body.includes(wanted)) return true;
    if (body.length >= BODY_LIMIT) return false;
  }
  return false;
}
