import type { Clock } from '../../../shared/clock.ts';
import { TriggerDeployError } from '../../../shared/errors.ts';
import type { Finding } from '../../deploy/ports.ts';
import type { StoppedTriggers } from '../../deploy/service-port.ts';
import { askSystemd, tellSystemd } from '../process/systemctl.ts';
import { pollUnit } from './poll-unit.ts';
import { isDown, propertiesOf } from './unit-state.ts';

/**
 * The triggers of a service: the units that start it (`TriggeredBy=`), which are sockets, timers and paths. A
 * service that crashes takes its socket or path along into `failed`, and without them it has nothing to serve.
 */
export interface Trigger {
  name: string;
  load: string;
  active: string;
  result: string;
  busy: boolean;
  /** Whether it starts at a boot. */
  enabled: boolean;
  refusesStop: boolean;
}

const PROPERTIES = 'LoadState,ActiveState,Result,Job,UnitFileState,RefuseManualStop';

const argvFor = {
  show: (names: readonly string[]) => ['systemctl', 'show', `--property=${PROPERTIES}`, '--', ...names],
  // It starts what is down. An agent without root may not order a plain start.
  restart: (name: string) => ['systemctl', 'restart', '--no-block', '--', name],
  stop: (name: string) => ['systemctl', 'stop', '--no-block', '--', name],
  resetFailed: (name: string) => ['systemctl', 'reset-failed', '--', name],
};

export const isUp = ({ active }: Trigger) => !isDown(active) && active !== 'deactivating';

/** The triggers `names`, as systemd shows them now. @throws COMMAND_FAILED when systemd does not answer. */
export async function lookAtTriggers(
  names: readonly string[],
  { signal, clock }: { signal: AbortSignal; clock?: Clock },
): Promise<Trigger[]> {
  if (names.length === 0) return [];
  const { exitCode, stdout, output } = await askSystemd(argvFor.show(names), {
    signal,
    ...(clock && { clock }),
  });
  if (exitCode !== 0) {
    const message = `systemctl show ${names.join(' ')} did not succeed`;
    throw new TriggerDeployError('COMMAND_FAILED', message, { detail: output });
  }
  // One block of lines for each name, in the order of the names.
  const blocks = stdout.trim().split(/\n{2,}/);
  return names.map((name, index) => parseTrigger(name, blocks[index] ?? ''));
}

function parseTrigger(name: string, text: string): Trigger {
  const values = propertiesOf(text);
  const value = (property: string) => values.get(property) ?? '';
  return {
    name,
    load: value('LoadState'),
    active: value('ActiveState'),
    result: value('Result'),
    busy: Number.parseInt(value('Job'), 10) > 0,
    enabled: value('UnitFileState').startsWith('enabled'),
    refusesStop: value('RefuseManualStop') === 'yes',
  };
}

/** The triggers that have to be started, and which of them must then be up. One that a person stopped stays down. */
export async function fallenTriggers(
  triggeredBy: readonly string[],
  stopped: StoppedTriggers,
  options: { signal: AbortSignal; clock: Clock },
): Promise<{ fallen: string[]; needed: ReadonlySet<string> }> {
  const isStopped = ({ name }: Trigger) => stopped.names.includes(name);
  const isDue = (one: Trigger) =>
    one.active === 'failed' || isStopped(one) || (stopped.enabled === true && one.enabled);
  const all = await lookAtTriggers([...new Set([...triggeredBy, ...stopped.names])], options);
  const fallen = all.filter((one) => one.load === 'loaded' && !isUp(one) && isDue(one));
  const needed = fallen.filter((one) => isStopped(one) || fellWithService(one));
  return { fallen: fallen.map(({ name }) => name), needed: new Set(needed.map(({ name }) => name)) };
}

/** What of the triggers of `unit` prevents a deployment. `stops`: the deployment stops them with the service. */
export function triggerProblems(unit: string, triggers: readonly Trigger[], stops: boolean): Finding[] {
  return triggers.filter(isUp).flatMap((one) => {
    const start = `${one.name}, which starts ${unit},`;
    if (one.load === 'masked') {
      const what = `${start} is masked and runs: once it is down, nothing can start it`;
      return [{ ok: false, what, hint: `systemctl unmask ${one.name}, or stop it for good` }];
    }
    if (!stops || !one.refusesStop) return [];
    const what = `${start} has RefuseManualStop=yes: it cannot be stopped while dpkg replaces files`;
    return [{ ok: false, what, hint: 'remove it from the unit, then run systemctl daemon-reload' }];
  });
}

/** Whether it fell because the service crashed or was started too often: the next version needs it. */
const fellWithService = ({ active, result }: Trigger) => active === 'failed' && result.endsWith('limit-hit');

/**
 * Starts a trigger and waits until it is up. Returns why it is not. It is left in `failed` where that is possible: this
 * is the record that it has to run again.
 */
export async function startTrigger(
  name: string,
  options: { within: number; clock: Clock; signal: AbortSignal },
): Promise<string | undefined> {
  const { clock, signal } = options;
  const tryStart = async () => {
    const isBegun = async () => (await lookAtTriggers([name], options)).some((one) => isUp(one) || one.busy);
    const refusal = await tellSystemd(argvFor.restart(name), { signal, clock, isDone: isBegun });
    const { state } = await settled(name, options);
    return { refusal, state };
  };
  let { refusal, state } = await tryStart();
  if (state?.result === 'start-limit-hit') {
    await tellSystemd(argvFor.resetFailed(name), { signal, clock });
    ({ refusal, state } = await tryStart());
  }
  if (state !== undefined && isUp(state)) return undefined;
  return refusal?.output.trim().split('\n')[0] ?? `it is ${state?.active}, result ${state?.result}`;
}

/** Stops a trigger, so that it does not start the service while files are replaced. @throws STOP_FAILED. */
export async function stopTrigger(
  name: string,
  options: { within: number; clock: Clock; signal: AbortSignal },
): Promise<void> {
  const { clock, signal } = options;
  const isBegun = async () => !(await lookAtTriggers([name], options)).some((one) => isUp(one) && !one.busy);
  const refusal = await tellSystemd(argvFor.stop(name), { signal, clock, isDone: isBegun });
  if (refusal) {
    throw new TriggerDeployError('STOP_FAILED', `systemd refused to stop ${name}`, {
      detail: refusal.output,
    });
  }
  const { state } = await settled(name, options);
  if (state !== undefined && isDown(state.active)) return;
  throw new TriggerDeployError('STOP_FAILED', `${name} is still ${state?.active}`);
}

/** Waits until no job of it is left. */
async function settled(name: string, options: { within: number; clock: Clock; signal: AbortSignal }) {
  return await pollUnit(
    async () => (await lookAtTriggers([name], options))[0],
    (one) => one !== undefined && !one.busy && !one.active.endsWith('activating'),
    options,
  );
}
