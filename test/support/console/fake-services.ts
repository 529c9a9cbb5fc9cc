import type { IncomingHttpHeaders } from 'node:http';
import { assetsOf } from '../../../publisher/console/http/assets.ts';
import type { PageFile } from '../../../publisher/console/http/page-source.ts';
import { type Asked, createRouter } from '../../../publisher/console/http/router.ts';
import { createWatches } from '../../../publisher/console/looks/watches.ts';
import type { Audited } from '../../../publisher/console/people/audit.ts';
import { PERMISSIONS } from '../../../publisher/console/permissions.ts';
import type {
  Command,
  CommandLine,
  Environments,
  Looks,
  Order,
  Outcome,
  People,
} from '../../../publisher/console/ports.ts';
import { createRuns } from '../../../publisher/console/runs/runs.ts';
import { createStreams, type Services } from '../../../publisher/console/services.ts';
import type { PublisherEvent } from '../../../publisher/events.ts';
import { asTriggerDeployError, TriggerDeployError } from '../../../shared/errors.ts';

/** The console without HTTP, AWS and the command line: what a test gives in their place is played. */

export const NOW = 1_000_000;

export const startedEvent = (deployment: string, service = 'payments'): PublisherEvent => ({
  ...{ type: 'started', at: NOW, deployment, env: 'dev', service, version: '1.4.2', previous: null },
  ...{ action: 'deploy', sequence: 1, issuedBy: 'ann', reason: undefined, expected: [] },
});

export const commandOf = (more: Partial<Command> = {}): Command => ({
  ...{ verb: 'deploy', argv: [], env: 'dev', service: 'payments', deployment: undefined, values: {} },
  ...{ follows: true, group: 'deploy', effect: 'signs', notOnPage: undefined },
  ...more,
});

/** A command line whose commands do what the test says. The first word of argv is the verb. */
export function fakeCommands(play: (command: Command, order: Order) => Promise<Outcome>): CommandLine {
  return {
    async parse(argv) {
      const [verb = ''] = argv;
      if (verb === 'wrong') throw new TriggerDeployError('USAGE', 'wrong arguments');
      const env = argv.find((word) => /^--(env|to)=/.test(word))?.split('=')[1];
      const from = argv.find((word) => word.startsWith('--from='))?.slice('--from='.length);
      const effect = verb === 'plan' ? 'asks' : verb === 'history' ? 'reads' : 'signs';
      const notOnPage = verb === 'push' ? 'push is for the terminal' : undefined;
      return commandOf({ ...{ verb, argv, env, notOnPage }, effect, values: { from } });
    },
    invoke: play,
    explain(error) {
      const { code, message, hint } = asTriggerDeployError(error);
      return { code, message, hint, exitCode: code === 'USAGE' ? 2 : code === 'LOCKED' ? 4 : 1 };
    },
  };
}

const nothing = async (): Promise<never> => {
  throw new TriggerDeployError('DEPLOYMENT_NOT_FOUND', 'there is nothing');
};
const fakeLooks = (): Looks => ({
  overview: () => nothing,
  service: () => nothing,
  deployment: () => nothing,
  history: async () => ({ at: NOW, deployments: [], pauses: [] }),
  standing: async () => ({ at: NOW, places: [] }),
  find: async () => ({ env: 'dev', service: 'payments' }),
  report: nothing,
  rollCall: async (env) => ({ env, at: NOW, by: 'ann', asked: 1, answered: 1, tookMs: 1 }),
});

const PAGE: readonly PageFile[] = [
  { path: '/', type: 'text/html; charset=utf-8', brotli: 'CwKAc2hlbGwD' },
  { path: '/page-0.js', type: 'text/javascript; charset=utf-8', brotli: 'iwGAY29kZQM=' },
];

const ANYBODY: People = {
  mode: 'loopback',
  personOf: async () => ({ person: { name: 'ann', via: 'laptop', groups: [], isMachine: false } }),
  grantsOf: () => [{ may: PERMISSIONS }],
  mayRun: () => undefined,
};

export interface FakeConsole {
  services: Services;
  audited: Omit<Audited, 'at'>[];
  ask(asked: Partial<Asked> & { json?: unknown }): ReturnType<ReturnType<typeof createRouter>>;
  /** The clock that never jumps. */
  pass(ms: number): void;
}

/** `keys`: the names of the environments that the console can sign for. */
export function fakeConsole(
  more: Partial<Omit<Services, 'commands'>> & {
    play?: (command: Command, order: Order) => Promise<Outcome>;
    keys?: readonly string[];
  } = {},
): FakeConsole {
  const { play = async () => ({ kind: 'driven', exitCode: 0 }), keys = ['dev'], ...given } = more;
  let time = 0;
  const commands = fakeCommands(play);
  const audited: FakeConsole['audited'] = [];
  const view: Services['view'] = async (error) => {
    const { exitCode, hint, ...shown } = commands.explain(error);
    return { error: { ...shown, ...(hint !== undefined && { hint }) }, exitCode };
  };
  const environments = {
    names: async () => ['dev', 'prd'],
    load: async (name: string) => ({ name, signingKey: keys.includes(name) ? '/key' : undefined }),
  } as unknown as Environments;
  const services: Services = {
    ...{ hosts: [], assets: assetsOf(PAGE), people: ANYBODY, sessions: undefined, readOnly: false },
    ...{
      commands,
      environments,
      view,
      looks: fakeLooks(),
      watches: createWatches(),
      streams: createStreams(),
    },
    runs: createRuns({ commands, view, onChange: () => undefined, now: () => NOW }),
    config: async () => ({
      ...{ version: '1', person: { name: '', isVerified: false }, mode: 'loopback', readOnly: false },
      ...{ environments: [], grants: [], links: {} },
    }),
    audit: (entry) => void audited.push(entry),
    now: () => NOW,
    monotonic: () => time,
    ...given,
  };
  const route = createRouter(services);
  return {
    services,
    audited,
    ask({ json, ...asked }) {
      const isPost = json !== undefined;
      const headers: IncomingHttpHeaders = {
        host: '127.0.0.1:7117',
        ...(isPost && { 'content-type': 'application/json', 'x-trigger-deploy': '1' }),
        ...(isPost && { 'sec-fetch-site': 'same-origin' }),
        ...asked.headers,
      };
      const distinct = Object.entries(headers).filter(([, value]) => value !== undefined);
      return route({
        ...{ method: isPost ? 'POST' : 'GET', target: '/', signal: new AbortController().signal },
        body: async () => Buffer.from(typeof json === 'string' ? json : JSON.stringify(json)),
        headersDistinct: Object.fromEntries(distinct.map(([name, value]) => [name, [String(value)]])),
        ...asked,
        headers,
      });
    },
    pass(ms) {
      time += ms;
    },
  };
}
