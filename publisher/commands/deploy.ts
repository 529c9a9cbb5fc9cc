import { TriggerDeployError } from '../../shared/errors.ts';
import type { Manifest } from '../../shared/manifest.ts';
import type { InstanceRecord } from '../../shared/report.ts';
import { type ExitCode, note } from '../events.ts';
import { mostFailures, type Strategy } from '../plan/strategy.ts';
import { rollingFor, type Size } from '../plan/waves.ts';
import { acquire, refuseIfDetached } from '../queue/acquire.ts';
import type { Ticket } from '../queue/ticket.ts';
import type { QueueMode } from '../queue/wait.ts';
import { type Change, type Conduct, rollOut } from '../rollout/all-at-once.ts';
import { standingBefore, versionToReturnTo } from '../rollout/baseline.ts';
import { checkRequired } from '../rollout/requires.ts';
import { commonVersion, isSelective, membersOf, type Selection } from '../rollout/targets.ts';
import { rollWaves, type WavesConduct } from '../rollout/waves.ts';
import type { Session } from '../session.ts';

export interface DeployOptions extends Selection {
  service: string;
  /** A version, or `latest`: the newest push. */
  version: string;
  strategy: Strategy;
  wait: boolean;
  timeoutMs: number;
  reason?: string | undefined;
  /** `--queue`, `--jump`: wait for those that are before. */
  queueMode?: QueueMode;
  allowMissing: number;
  maxFailures: Size | 0;
  onFailure: 'rollback' | 'stop';
  ask?: WavesConduct['ask'];
  /** Aborted by Ctrl-C. */
  detach: AbortSignal;
}

/**
 * `trigger-deploy SERVICE VERSION`: to everybody at once, or in waves. Nothing is locked, written or announced
 * before the manifest is verified.
 * @throws NOT_PROVEN where another environment comes first, VERSION_NOT_FOUND, SERVICE_NOT_FOUND, INSTANCE_NOT_FOUND, PAUSED, LOCKED, FENCED, SIGNATURE_INVALID, AWS_*;
 * CANCELLED when detached before there was anything to leave running.
 */
export async function deploy(session: Session, options: DeployOptions): Promise<ExitCode> {
  await session.signer();
  const manifest = await session.record.versions.resolve(options.service, options.version);
  await checkRequired(session, manifest);
  return await deployVersion(session, manifest, { ...options, command: 'deploy' });
}

export interface VersionOptions extends Going {
  /** The verb. */
  command: string;
  /** The environment it was proven in, of a promotion. */
  promotedFrom?: string | undefined;
  reason?: string | undefined;
}

/** A version that is there, and may go out. @throws as `deploy`. */
export async function deployVersion(
  session: Session,
  { service, version, artifacts }: Manifest,
  options: VersionOptions,
): Promise<ExitCode> {
  const { command, promotedFrom, reason, queueMode, detach } = options;
  const ticket = await acquire(session, { service, version, command, reason, queueMode, detach });
  try {
    const previous = versionToReturnTo(await standingBefore(session, service));
    const what = { service, version, artifacts, action: 'deploy', previous } as const;
    const change: Change = { ...what, reason, promotedFrom };
    return await goOut(session, ticket, change, options);
  } finally {
    await ticket.lock.release();
  }
}

export type Going = Omit<DeployOptions, 'service' | 'version' | 'reason'>;

/** To whom, and in what order. */
export async function goOut(
  session: Session,
  ticket: Ticket,
  change: Change,
  options: Going,
): Promise<ExitCode> {
  const { strategy, wait, detach, maxFailures } = options;
  const selective = isSelective(options);
  const inWaves = strategy.name === 'rolling';
  // At once to everybody, their `accepted` is the roll call.
  const members =
    inWaves || selective
      ? await membersOf(session, change.service, options)
      : await session.record.deployments.instances(change.service);
  refuseIfDetached(detach);
  if (members.length === 0) await confirmedBeforehand(session, ticket, change, options);
  const conduct = conductOf(options, mostFailures(maxFailures, members.length), !wait);
  const aimed = selective ? aimedAt(session, change, members) : change;
  // Nobody is there: then a version is set before the first instance, and there are no waves of nobody.
  if (!inWaves || members.length === 0) return await rollOut(session, ticket, aimed, conduct);
  return await rollWaves(
    session,
    ticket,
    aimed,
    { ...conduct, ask: options.ask },
    rollingFor(members, strategy),
  );
}

/**
 * With nobody there, there is no gate to wait at: where every deployment needs a person, one is asked before anything
 * is written. @throws INSTANCE_NOT_FOUND where nobody can be asked; CANCELLED when the answer is no.
 */
async function confirmedBeforehand(
  session: Session,
  { lock }: Ticket,
  { service, version, action }: Change,
  { ask, detach }: Going,
): Promise<void> {
  const { name, confirm } = session.env;
  if (confirm !== 'person' || action !== 'deploy') return;
  const none = `no instance of ${service} is known in ${name}`;
  if (ask === undefined) {
    throw new TriggerDeployError(
      'INSTANCE_NOT_FOUND',
      `${none}, and a person has to confirm what it will run`,
      {
        hint: 'start an instance first, or deploy from a terminal, where you are asked',
      },
    );
  }
  note(session, `${none}; the first will run ${version}: y sets the desired state, n leaves it as it is`);
  const yes = await ask(AbortSignal.any([session.signal, detach, lock.lost])).catch((error: unknown) => {
    refuseIfDetached(detach);
    throw error;
  });
  if (!yes) throw new TriggerDeployError('CANCELLED', 'not confirmed, and nothing was changed');
}

/**
 * For these only. Where it fails they go back to what they ran, which need not be what the desired state says; where
 * they ran different versions there is no one way back, and each stays as its agent left it.
 */
function aimedAt(session: Session, change: Change, members: readonly InstanceRecord[]): Change {
  const targets = members.map((one) => one.instance);
  if (change.action !== 'deploy') return { ...change, targets };
  const versions = new Set(members.map((one) => one.version ?? 'nothing'));
  if (versions.size > 1) {
    const text = `these instances run different versions (${[...versions].join(', ')}): one on which it fails goes back by itself, the others are not rolled back`;
    note(session, text, 'warning');
  }
  return { ...change, targets, previous: commonVersion(members) };
}

export function conductOf(
  options: Pick<DeployOptions, 'wait' | 'timeoutMs' | 'allowMissing' | 'onFailure' | 'detach'>,
  maxFailures: number,
  desiredFirst: boolean,
): Conduct {
  const { wait, detach, allowMissing, onFailure, timeoutMs } = options;
  return { wait, detach, desiredFirst, policy: { allowMissing, maxFailures, onFailure, timeoutMs } };
}
