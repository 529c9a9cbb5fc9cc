import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createDesiredReader } from '../../../../agent/deploy/converge.ts';
import type { Ports, ServiceConfig } from '../../../../agent/deploy/ports.ts';
import { endingOf, serviceState } from '../../../../agent/deploy/state.ts';
import { openWorker } from '../../../../agent/deploy/worker.ts';
import { swept } from '../../../../agent/host/fs/sweeper.ts';
import { openCommandRegistry } from '../../../../agent/host/process/command-registry.ts';
import { createArchivePackage } from '../../../../agent/host/releases/archive.ts';
import { createJarPackage } from '../../../../agent/host/releases/jar.ts';
import type { ConfiguredCheck } from '../../../../agent/host/services/check-types.ts';
import { createCommandManager } from '../../../../agent/host/services/command-manager.ts';
import { createHealthProbe } from '../../../../agent/host/services/health.ts';
import { createHookRunner } from '../../../../agent/host/services/hooks.ts';
import { createJournal } from '../../../../agent/host/state/journal.ts';
import { createHost } from '../../../../agent/host/system/host.ts';
import { createSystemdNotifier } from '../../../../agent/host/system/systemd-notify.ts';
import { runAgent } from '../../../../agent/loop/agent.ts';
import type { Clock } from '../../../../shared/clock.ts';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { createLog } from '../../../../shared/log.ts';
import { loadPublicKey, verifierOf } from '../../../../shared/signing.ts';
import { NO_HEARTBEAT } from '../../../support/fleet/no-heartbeat.ts';
import { NO_ORDERS } from '../../../support/fleet/no-orders.ts';
import { ENV, INSTANCE, type KillPoint, SERVICE, type World } from './plan.ts';
import { eventReporter, fileDesired, fileInbox, fileStore, journalWithEvents } from './stubs.ts';
import { Events, type Halfway, Tripwire, wired } from './wire.ts';

/**
 * One life of the real agent, composed like agent/wire-agent.ts: the real steps, journal, packages, commands,
 * probe and hooks on a real file system, and a cloud of files. It dies at the kill point it is given, and otherwise
 * ends by itself once everything is deployed and reported.
 * usage: node kill-agent ROOT [METHOD N PHASE]
 */

const [root = '', method, n, phase] = process.argv.slice(2);
const point = method === undefined ? undefined : ({ method, n: Number(n), phase } as KillPoint);
const world = JSON.parse(readFileSync(join(root, 'world.json'), 'utf8')) as World;
const at = (...names: string[]) => join(root, ...names);
const dir = at('service');
const current = join(dir, 'current');
const journalPath = at('state', 'services', `${SERVICE}.journal`);

const events = new Events(at('events.jsonl'));
const wire = new Tripwire(events, point);
const stopping = new AbortController();
const clock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  // A timer may fire slightly early; then a loop that reads the clock may or may not run one more round.
  sleep: (ms, signal) => sleep(ms + 2, undefined, { signal }),
};

/** Half of a line in the journal, or half of a new journal beside it. */
const halfAppend: Halfway = (_work, die, [state]) => {
  const half = `0123456789abcdef ${JSON.stringify(state).slice(0, 200)}`;
  if (existsSync(journalPath)) appendFileSync(journalPath, half);
  else {
    mkdirSync(dirname(journalPath), { recursive: true, mode: 0o700 });
    writeFileSync(join(dirname(journalPath), `.${basename(journalPath)}.0123456789abcdef.new`), half);
  }
  die();
};

/** The new link exists, and is not yet renamed over the old one. */
const halfSwitch: Halfway = (work, die, [version]) => {
  if (typeof version === 'string') {
    symlinkSync(join('releases', version), join(dir, '.current.0123456789abcdef.new'));
    return die();
  }
  work().catch(() => {});
  setImmediate(die);
};

/** Half of the artifact is in the staging; without a download, everything is done and not yet returned. */
let dieAtHalf: (() => void) | undefined;
const halfPrepare: Halfway = (work, die) => {
  dieAtHalf = die;
  work().then(die, die);
};

/** A release is in the staging to be removed, if there is one to remove. */
const halfPrune: Halfway = (work, die) => {
  const staging = join(dir, '.staging');
  work().then(die, die);
  const look = () => {
    if (existsSync(staging) && readdirSync(staging).length > 0) die();
    setImmediate(look);
  };
  look();
};

/** The child has begun and is slow: it keeps running after this process is killed. */
const halfCommand =
  (flag: string, begun: string): Halfway =>
  async (work, die) => {
    const before = events.count(begun);
    writeFileSync(at('run', flag), '');
    work().catch(() => {});
    for (let { changed } = events; events.count(begun) === before; { changed } = events) await changed;
    die();
  };

const ownCommands = await openCommandRegistry(at('state', 'commands', SERVICE), stopping.signal);
const control = (action: string) => [
  '/bin/sh',
  world.control,
  action,
  root,
  world.node,
  join(current, world.type === 'jar' ? `${SERVICE}.jar` : 'server.cjs'),
  world.host,
  String(world.port),
];
const manager = createCommandManager({
  start: control('start'),
  stop: control('stop'),
  status: control('status'),
  pidFile: at('run', 'service.pid'),
  log: at('run', 'service.log'),
  environment: {},
  startTimeout: 30_000,
  stopTimeout: 30_000,
  clock,
  commands: {
    repeatable: ownCommands.repeatable,
    indivisible: (argv, options) =>
      wire.call(`command.${argv[2]}`, () => ownCommands.indivisible(argv, options), {
        halfway: halfCommand('slow', `"what":"${argv[2]}-begin"`),
      }),
  },
});

const health: ConfiguredCheck = {
  kind: 'http',
  url: `http://${world.host}:${world.port}/health`,
  status: 200,
  body: '"version":"{version}"',
  successes: 2,
  timeout: 10_000,
  /** Short for a bad version; long for a good one, which a busy machine must not fail. */
  get deadline() {
    const isBad = existsSync(current) && world.bad.includes(basename(readlinkSync(current)));
    return isBad ? 500 : 20_000;
  },
};
const hook = (kind: string) => ({
  run: ['/bin/sh', world.hook, kind, root],
  timeout: 30_000,
  environment: {},
});
const service: ServiceConfig = {
  name: SERVICE,
  checks: [health],
  watch: 60,
  hooks: { beforeStop: [hook('beforeStop')], afterStart: [hook('afterStart')] },
  reportLog: true,
};

const identity = { env: ENV, instance: INSTANCE, zone: undefined, agentVersion: '0.0.0' };
const log = createLog('info', {});
const store = wired(
  wire,
  'store',
  fileStore(world, events, () => dieAtHalf?.()),
  ['read'],
);
const options = { service: SERVICE, dir, keep: 3, store };
const packageType = world.type === 'jar' ? createJarPackage(options) : createArchivePackage(options);
const journal = createJournal({ path: journalPath, parse: (value) => serviceState.parse(value) });
const reporter = wired(wire, 'reporter', eventReporter(wire, events), ['deliver', 'putInstance']);
const ports: Ports = {
  clock,
  reporter,
  package: wired(
    wire,
    'package',
    packageType,
    ['releases', 'current', 'adopt', 'prepare', 'switchTo', 'prune'],
    { prepare: halfPrepare, switchTo: halfSwitch, prune: halfPrune },
  ),
  manager: wired(wire, 'manager', manager, ['status', 'restart', 'stop', 'logTail']),
  probe: wired(wire, 'probe', createHealthProbe(ownCommands.repeatable), ['probe']),
  hooks: wired(wire, 'hooks', createHookRunner(ownCommands.repeatable), ['run'], {
    run: halfCommand('hang', '"what":"hook-begin"'),
  }),
  journal: wired(wire, 'journal', journalWithEvents(journal, events), ['load', 'append'], {
    append: halfAppend,
  }),
  desired: wired(wire, 'desired', fileDesired(root), ['read']),
  host: wired(wire, 'host', createHost(), ['bootId', 'stopping']),
};
const verifier = wired(wire, 'verifier', verifierOf([await loadPublicKey(world.publicKey)]), ['verify']);
const inbox = fileInbox(root, world, events);
const worker = await openWorker({ service, ports, identity, log });

wire.onReturn = () => setImmediate(stopIfDone);
await runAgent(
  {
    identity,
    workers: new Map([[SERVICE, worker]]),
    inbox: {
      ...wired(wire, 'inbox', inbox, ['ensure', 'delete']),
      receive: (signal) => wire.call('inbox.receive', () => inbox.receive(signal), { waits: true }),
      resubscribe: inbox.resubscribe,
    },
    local: NO_ORDERS,
    heartbeat: NO_HEARTBEAT,
    isQueueGone: () => false,
    verifier,
    desired: createDesiredReader(ports.desired, verifier, ENV),
    changes: { read: async () => undefined },
    reporter,
    notifier: createSystemdNotifier({}),
    clock,
    log,
  },
  stopping.signal,
);
await swept();
events.close();

/** Done: nothing runs or waits, everything ended and is delivered, and the desired state was read twice. */
function stopIfDone(): void {
  const state = worker.state();
  const quiet = wire.inFlight === 0 && wire.countOf('desired.read') >= 2;
  const idle = !state.active && !state.waiting && state.outbox.length === 0;
  const recorded = wire.countOf('reporter.putInstance') > 0 && inbox.isEmpty();
  const ended = world.deployments.every((deployment) => endingOf(state, deployment));
  if (stopping.signal.aborted || !quiet || !idle || !recorded || !ended) return;
  events.say({ what: 'settled' });
  stopping.abort(new TriggerDeployError('INTERRUPTED', 'everything is done'));
}
