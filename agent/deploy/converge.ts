import { type Desired, desired as desiredSchema } from '../../shared/desired.ts';
import { bareArtifact } from '../../shared/manifest.ts';
import type { Verifier } from '../../shared/signing.ts';
import type { DesiredStore } from './ports.ts';
import { brokenBy, findOrder, hasEnded, type Order, type ServiceState } from './state.ts';

/**
 * The verified desired states. With them, an instance that missed an announcement (it was off, or is new) converges by
 * itself. A desired state that is absent or cannot be read changes nothing.
 */
export interface DesiredReader {
  /**
   * The newest desired state. Undefined if there is none, or if it is signed for another environment or service.
   * @throws SIGNATURE_INVALID, DOCUMENT_INVALID, AWS errors.
   */
  read(service: string, signal: AbortSignal): Promise<Desired | undefined>;
}

export interface DesiredStates extends DesiredReader {
  /** The desired state as it was read last; undefined before. Asks nobody. */
  known(service: string): Desired | undefined;
}

export function createDesiredReader(store: DesiredStore, verifier: Verifier, env: string): DesiredStates {
  const known = new Map<string, { etag: string; value: Desired }>();
  return {
    known: (service) => known.get(service)?.value,
    async read(service, signal) {
      const answer = await store.read(service, known.get(service)?.etag, signal);
      if (answer === 'absent') return undefined;
      if (answer === 'unchanged') return known.get(service)?.value;
      const value = await verifier.verify('td-desired+jws', answer.text, desiredSchema);
      if (value.env !== env || value.service !== service) return undefined;
      known.set(service, { etag: answer.etag, value });
      return value;
    },
  };
}

/**
 * The order that makes this instance converge on the desired state. If its deployment is already held here, this is the
 * held order without its hold. A string is the reason why there is nothing to do now.
 */
export function orderFromDesired(state: ServiceState, want: Desired, current: string | null): Order | string {
  // If this deployment is still held here, its rollout ended without this instance: no announcement will continue it.
  const held = findOrder(state, want.deployment);
  if (!held?.hold) {
    if (state.waiting || (state.active && !state.active.order.hold)) return 'a deployment is under way';
    // The active deployment is held, and its publisher may have died: a newer desired state replaces it. An older
    // desired state does not, because the rollout may only be waiting.
    if (state.active && want.sequence <= state.active.order.sequence) return 'a newer deployment is prepared';
  }
  if (state.pinned) return `pinned to ${state.pinned.version}`;
  if (want.sequence <= (state.running?.sequence ?? 0)) return 'up to date';
  if (state.failures.some((failure) => failure.deployment === want.deployment))
    return 'this deployment failed here before';
  if (state.tombstones.includes(want.deployment)) return 'this deployment was cancelled here';
  if (want.sequence <= (brokenBy(state)?.sequence ?? 0)) {
    return 'the service is broken: deploy a newer version, or repair it by hand';
  }
  // A pause does not apply to an instance that runs no version.
  if (want.pause && current !== null) return `paused by ${want.pause.by}`;
  if (held) return { ...held, hold: false };
  return {
    deployment: want.deployment,
    service: want.service,
    sequence: want.sequence,
    version: want.version,
    action: want.action,
    artifacts: want.artifacts.map(bareArtifact),
    source: 'desired',
    hold: false,
    ...(hasEnded(state, want.deployment) && { quiet: true }),
  };
}
