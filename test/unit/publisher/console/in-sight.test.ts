import { expect, it } from 'vitest';
import { createRouter } from '../../../../publisher/console/http/router.ts';
import type { Services } from '../../../../publisher/console/services.ts';

const PLACES = [
  { env: 'dev', service: 'web', version: '1' },
  { env: 'prd', service: 'web', version: '2' },
];
const services = (grants: unknown) =>
  ({
    ...{ hosts: [], sessions: undefined, assets: { shell: () => undefined, file: () => undefined } },
    people: {
      mode: 'proxy',
      personOf: async () => ({ person: { name: 'ann', via: 'c', groups: [], isMachine: false } }),
      grantsOf: () => grants,
      mayRun: () => undefined,
    },
    looks: {
      // What a look forgot to leave out.
      history: async () => ({ at: 1, deployments: [], pauses: [], trouble: PLACES }),
      find: async () => ({ env: 'prd', service: 'web' }),
    },
    ...{ now: () => 0, monotonic: () => 0 },
  }) as unknown as Services;
const get = async (target: string, grants: unknown) => {
  const host = ['localhost'];
  const asked = { method: 'GET', target, headers: { host: 'localhost' }, headersDistinct: { host } };
  const route = createRouter(services(grants));
  return await route({ ...asked, body: async () => undefined, signal: new AbortController().signal });
};

it('what an answer says of an environment out of sight is left out, whatever the route answers', async () => {
  const dev = [{ env: ['dev'], may: ['look'] }];
  expect((await get('/api/history', dev)).json).toMatchObject({ trouble: [PLACES[0]] });
  expect((await get('/api/history', [{ may: ['look'] }])).json).toMatchObject({ trouble: PLACES });
  expect((await get('/api/find?deployment=01JDB2Q0V7M3N8T5R9XKZC4W6H', dev)).status).toBe(403);
});

it('a person who may look at nothing gets an answer with nothing in it', async () => {
  expect((await get('/api/history', [])).json).toMatchObject({ trouble: [] });
});
