import type { Server } from 'node:http';
import { orAborted } from '../../shared/abort.ts';
import { cleanLine } from '../../shared/clean-text.ts';
import { createClock } from '../../shared/clock.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import type { ConsoleConfig } from '../config/load-console.ts';
import type { ConfigView, ErrorView } from './api.ts';
import { environmentView, inOrder } from './config-view.ts';
import { loadAssets } from './http/assets.ts';
import { commandOf } from './http/hint-command.ts';
import { createRateLimit } from './http/limits.ts';
import { isLoopback, type ListenPlace, listenAt, listenOnLoopback } from './http/listen.ts';
import { createRouter } from './http/router.ts';
import { createConsoleServer } from './http/server.ts';
import { openLooks } from './looks/looks.ts';
import { createWatches } from './looks/watches.ts';
import { auditLine } from './people/audit.ts';
import { createLoopbackKeys } from './people/loopback-key.ts';
import { loopbackPeople } from './people/loopback-people.ts';
import type { ConsolePorts, Environments, People } from './ports.ts';
import { createRuns } from './runs/runs.ts';
import { createStreams, type Services, type Sessions } from './services.ts';

export interface ConsoleOptions {
  ports: ConsolePorts;
  config: ConsoleConfig;
  /** The version of trigger-deploy. */
  version: string;
  /** The port on loopback; 0 takes any free one. */
  port: number;
  /** Where it listens instead of loopback. */
  place: ListenPlace | undefined;
  readOnly: boolean;
  /** The environments that it shows; all when left out. */
  only: readonly string[] | undefined;
  /** Hosts that are allowed besides loopback and the host of `console.url`. */
  allowHosts: readonly string[];
  /** Who started it, and on which machine. */
  person: { name: string; via: string };
  /** Shows an address at which the page opens: on loopback it has a key that is good for one use. */
  announce(address: string): void;
  /** Tells a person at the terminal. */
  tell(text: string): void;
  /** Writes a line of the log: JSON without control characters. */
  log(line: string): void;
  /** Aborts when the console must end. */
  stop: AbortSignal;
}

/** How long commands may take to let go of what they drive, and then to end, ms. */
const DETACH_MS = 4000;
const STOP_MS = 2000;
/** How long pages may take to read the last of their streams, ms. */
const CLOSE_MS = 1000;

/** Runs the console until `stop` aborts. @throws USAGE when it may not or cannot listen, CONFIG_INVALID. */
export async function runConsole(options: ConsoleOptions): Promise<void> {
  const { ports, config, place, port, stop, tell } = options;
  if (place !== undefined && !isLoopback(place) && config.trust === undefined) {
    throw new TriggerDeployError('USAGE', 'without console.trust the console listens on loopback only', {
      hint: 'set console.trust in trigger-deploy.yaml, or forward a port: ssh -L 7117:127.0.0.1:7117 HOST',
    });
  }
  const environments = limited(ports.environments, options.only);
  // Every mistake of the config is found now, not by the first person who looks.
  for (const name of await environments.names()) await environments.load(name);
  const services = await openServices(options, environments);
  const { runs, watches } = services;
  const route = createRouter(services);
  const onError = (error: unknown) => options.log(logged(error));
  const servers: Server[] = [];
  try {
    if (place === undefined) {
      const found = await listenOnLoopback(() => createConsoleServer(route, onError), port);
      servers.push(...found.servers);
      services.start(`http://127.0.0.1:${found.port}/`);
    } else {
      const server = createConsoleServer(route, onError);
      servers.push(server);
      await listenAt(server, place);
      services.start(addressOf(server, place));
    }
    if (config.resume && !options.readOnly) void goOn(options, services, stop);
    await untilAborted(stop);
    const closed = servers.map((server) => new Promise((resolve) => server.close(resolve)));
    if (runs.views().some(({ state }) => state !== 'ended'))
      tell(
        config.resume
          ? 'the console ends: another one continues its deployments'
          : 'the console ends: its deployments stay as they are',
      );
    const reason = new TriggerDeployError('INTERRUPTED', 'the console ended');
    const detached = runs.detach(reason);
    if (!(await settledWithin(detached, DETACH_MS))) {
      runs.stop(reason);
      await settledWithin(detached, STOP_MS);
    }
    // The pages are told how their commands ended.
    services.streams.endAll();
    await settledWithin(Promise.all(closed), CLOSE_MS);
  } finally {
    watches.close();
    for (const server of servers) {
      server.close();
      server.closeAllConnections();
    }
    ports.close();
  }
}

/** Continues what other consoles left. Loaded only where the config wants it. Never throws. */
async function goOn(options: ConsoleOptions, services: Services, stop: AbortSignal): Promise<void> {
  const { log, person } = options;
  const report = (entry: object) =>
    log(JSON.stringify({ type: 'resume', time: new Date().toISOString(), ...entry }));
  try {
    const { resumeByItself } = await import('./runs/self-resume.ts');
    const clock = createClock(Date.now);
    await resumeByItself({ ...services, clock, host: person.via, log: report }, stop);
  } catch (error) {
    if (!stop.aborted) log(logged(error));
  }
}

async function openServices(
  options: ConsoleOptions,
  environments: Environments,
): Promise<Services & { start(address: string): void }> {
  const { ports, config, version, readOnly, person, log, place, announce } = options;
  const { commandLine: commands } = ports;
  const now = Date.now;
  const monotonic = () => performance.now();
  const view: Services['view'] = async (thrown) => {
    const { exitCode, code, message, hint } = commands.explain(thrown);
    if (code === 'INTERNAL') log(logged(thrown));
    const command = await commandOf(hint, (argv) => commands.parse(argv));
    const error: ErrorView = {
      ...{ code, message: cleanLine(message) },
      ...(hint !== undefined && { hint: cleanLine(hint) }),
      ...(command !== undefined && { command }),
    };
    return { error, exitCode };
  };
  const onChange = (env: string, service?: string) => looks.refresh(env, service);
  const runs = createRuns({ commands, view, onChange, now });
  const watches = createWatches();
  const streams = createStreams();
  const looks = openLooks({ environments, runs });
  const isProxied = place !== undefined && config.trust !== undefined;
  const { people, sessions, start } = isProxied
    ? { people: await proxied(config, place), sessions: undefined, start: () => announce(config.url ?? '') }
    : openSessions(options, { streams, monotonic });
  const configOf = async (): Promise<ConfigView> => {
    const { logs, builds } = config.links;
    const names = await environments.names();
    const loaded = await Promise.all(names.map((name) => environments.load(name)));
    return {
      ...{ version, mode: people.mode, readOnly, grants: [] },
      links: { ...(logs !== undefined && { logs }), ...(builds !== undefined && { builds }) },
      person: { name: person.name, isVerified: false },
      environments: inOrder(loaded.map((env) => environmentView(env, readOnly))),
    };
  };
  return {
    ...{ people, commands, environments, looks, runs, streams, watches, readOnly, view, now, monotonic },
    hosts: hostsOf(options),
    assets: await loadAssets(),
    sessions,
    start,
    config: configOf,
    audit: (entry) => log(auditLine({ ...entry, at: now() })),
  };
}

/** The keys of a console on loopback, and the one person who has them. */
function openSessions(
  { person, announce, tell, log }: ConsoleOptions,
  { streams, monotonic }: Pick<Services, 'streams' | 'monotonic'>,
) {
  const keys = createLoopbackKeys({ monotonic });
  // Every user of the machine can send keys: the terminal is told of some of them.
  const waitOf = createRateLimit(monotonic);
  let address = '';
  const show = () => announce(`${address}#k=${keys.renew()}`);
  const sessions: Sessions = {
    exchange(key) {
      const given = keys.exchange(key);
      if (typeof given === 'object' || waitOf(given) > 0) return given;
      if (given === 'used') {
        tell(
          'warning: the address of this console was opened a second time: somebody else may have it. End all sessions on the page, or start the console again, if that was not you',
        );
      }
      log(JSON.stringify({ type: 'session', time: new Date().toISOString(), refused: given }));
      return given;
    },
    endAll() {
      tell('all sessions have ended; the new address:');
      show();
      streams.endAll();
    },
  };
  const start = (at: string) => {
    address = at;
    show();
  };
  return { people: loopbackPeople(keys, person), sessions, start };
}

/** Loaded only here: a console on loopback needs no tokens. @throws as `createProxyPeople`. */
async function proxied(config: ConsoleConfig, place: ListenPlace): Promise<People> {
  const { createProxyPeople } = await import('./people/proxy-people.ts');
  return await createProxyPeople(config, { place, clock: createClock(Date.now) });
}

/** The environments that the console was started for. @throws USAGE for one that the config does not have. */
function limited(environments: Environments, only: readonly string[] | undefined): Environments {
  if (only === undefined) return environments;
  return {
    ...environments,
    async names() {
      const all = await environments.names();
      const unknown = only.find((name) => !all.includes(name));
      if (unknown === undefined) return all.filter((name) => only.includes(name));
      throw new TriggerDeployError('USAGE', `there is no environment ${unknown}`, {
        hint: `the environments are ${all.join(', ')}`,
      });
    },
  };
}

function hostsOf({ config, allowHosts }: ConsoleOptions): string[] {
  const own = config.url === undefined ? [] : [new URL(config.url).host];
  return [...own, ...allowHosts].map((host) => host.toLowerCase());
}

function addressOf(server: Server, place: ListenPlace): string {
  if ('path' in place) return `unix:${place.path}`;
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : place.port;
  return `http://${place.host.includes(':') ? `[${place.host}]` : place.host}:${port}/`;
}

function logged(error: unknown): string {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return JSON.stringify({ type: 'error', time: new Date().toISOString(), text: cleanLine(text) });
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  await orAborted(new Promise<never>(() => undefined), signal).catch(() => undefined);
}

/** Whether `work` settled in that time. */
async function settledWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  const signal = AbortSignal.timeout(ms);
  return await orAborted(work, signal).then(
    () => true,
    () => !signal.aborted,
  );
}
