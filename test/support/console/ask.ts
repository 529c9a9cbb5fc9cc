import { request } from 'node:http';

/** One request to a console, each header as it is given: also twice, or none. */
export interface Asked {
  path?: string;
  method?: string;
  /** `null` leaves one out that is there by default. */
  headers?: Record<string, string | string[] | null> | undefined;
  body?: unknown;
}

export interface Got {
  status: number;
  headers: Record<string, unknown>;
  // biome-ignore lint/suspicious/noExplicitAny: each test knows what it asked for.
  json: any;
}

/** `where`: the port on 127.0.0.1, or the path of a unix socket. */
export async function ask(where: number | string, asked: Asked = {}): Promise<Got> {
  const { path = '/api/config', body, method = body === undefined ? 'GET' : 'POST', headers = {} } = asked;
  const { promise, resolve, reject } = Promise.withResolvers<Got>();
  const text = body === undefined ? undefined : JSON.stringify(body);
  const all = {
    host: 'deploys.acme.com',
    ...(text !== undefined && {
      'content-type': 'application/json',
      'x-trigger-deploy': '1',
      'sec-fetch-site': 'same-origin',
      'content-length': String(Buffer.byteLength(text)),
    }),
    ...headers,
  };
  const given = Object.entries(all).flatMap(([name, value]) =>
    value === null ? [] : [value].flat().flatMap((one) => [name, one]),
  );
  const place = typeof where === 'number' ? { host: '127.0.0.1', port: where } : { socketPath: where };
  const sent = request({ ...place, path, method, headers: given, setHost: false, agent: false });
  sent.on('response', async (answer) => {
    let got = '';
    for await (const chunk of answer.setEncoding('utf8')) got += chunk;
    const isJson = String(answer.headers['content-type']).startsWith('application/json');
    resolve({
      status: answer.statusCode ?? 0,
      headers: answer.headers,
      json: isJson ? JSON.parse(got) : got,
    });
  });
  sent.on('error', reject);
  sent.end(text);
  return await promise;
}
