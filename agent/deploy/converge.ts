import { type Desired, desired as desiredSchema } from '../../shared/desired.ts';
import { bareArtifact } from '../../shared/manifest.ts';
import type { Verifier } from '../../shared/signing.ts';
import type { DesiredStore } from './ports.ts';
import { brokenBy, findOrder, hasEnded, type Order, type ServiceState } from './state.ts';

/**
 * Bringing an instance up to date by itself: the one that booted after the announcement, or slept through
 * it. A desired state that is absent or cannot be read changes nothing.
 */
export interface DesiredReader {
  /** The desired state as last written, undefined when there is none. @throws SIGNATURE_INVALID, DOCUMENT_INVALID, AWS errors. */
  read(service: string, signal: AbortSignal): Promise<Desired | undefined>;
}

export function createDesiredReader(store: DesiredStore, verifier: Verifier, env: string): DesiredReader {
  const known = new Map<string, { etag: string; value: Desired }>();
  return {
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
 * What the desired state asks of this instance now: an order, which may be the one that is under way here and was to
 * hold, told to hold no more; a string says why it asks nothing.
 */
export function orderFromDesired(state: ServiceState, want: Desired, current: string | null): Order | string {
  // Its rollout is over, and passed without this instance: nobody else tells it to go on.
  const held = findOrder(state, want.deployment);
  if (!held?.hold) {
    if (state.waiting || (state.active && !state.active.order.hold)) return 'a deployment is under way';
    // Whoever prepared it may have died: what is desired since takes its place. An older one does not, for the
    // rollout may only wait.
    if (state.active && want.sequence <= state.active.order.sequence) return 'a deployment stands prepared';
  }
  if (state.pinned) return `pinned to ${state.pinned.version}`;
  if (want.sequence <= (state.running?.sequence ?? 0)) return 'up to date';
  if (state.failures.some((failure) => failure.deployment === want.deployment))
    return 'it failed here before';
  if (state.tombstones.includes(want.deployment)) return 'it was cancelled here';
  if (want.sequence <= (brokenBy(state)?.sequence ?? 0)) {
    return 'it is broken, and needs a person or a newer deployment';
  }
  // A pause never keeps an instance that runs nothing from coming up.
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
