import { type Announcement, type ChangeAnnouncement, LONGEST_EXPIRY_MS } from '../../shared/announcement.ts';
import type { ErrorCode } from '../../shared/errors.ts';
import { bareArtifact } from '../../shared/manifest.ts';
import { isReplyQueueName } from '../../shared/names.ts';
import { beyondReach, isBeyondReach } from '../../shared/sequence.ts';
import { findOrder, hasEnded, type Order, type ServiceState } from '../deploy/state.ts';

/** How far the clock of a publisher may be ahead of AWS, ms. A later `issuedAt` counts as this time from now. */
const CLOCK_SKEW_MS = 5 * 60 * 1000;

/**
 * What to do about a verified announcement. Only `admit` decides this, and it is pure. The caller carries the decision
 * out, and deletes the message after the result is in the journal.
 */
export type Decision =
  /** The announcement is not for this instance, or it has no effect. */
  | { do: 'ignore'; why: string }
  /** No correct publisher sends such an announcement: log and count it, never answer it. */
  | { do: 'refuse'; code: ErrorCode; why: string }
  | { do: 'answer-roll-call' }
  | { do: 'converge' }
  | { do: 'cancel' }
  /** The announcement is for other instances. Record its sequence here, too. */
  | { do: 'raise'; sequence: number }
  | { do: 'accept'; order: Order }
  | { do: 'proceed' }
  | { do: 'repeat' }
  /** Journal this ending. The deployment never starts here. */
  | {
      do: 'end';
      order: Order;
      ending: 'rejected' | 'superseded' | 'cancelled';
      code: ErrorCode;
      why: string;
    };

export interface Knowledge {
  env: string;
  instance: string;
  /** AWS's time, ms since the epoch. */
  now: number;
  /** The state of the announced service. Undefined if this instance does not have it, or no service is named. */
  state: ServiceState | undefined;
}

export function admit(announcement: Announcement, known: Knowledge): Decision {
  if (announcement.env !== known.env) {
    return {
      do: 'refuse',
      code: 'WRONG_ENVIRONMENT',
      why: `it is for environment ${announcement.env}; this is ${known.env}`,
    };
  }
  if (announcement.replyTo !== undefined && !isReplyQueueName(known.env, announcement.replyTo)) {
    return {
      do: 'refuse',
      code: 'DOCUMENT_INVALID',
      why: 'replyTo is not the name of a reply queue of this environment',
    };
  }
  if (announcement.kind === 'roll-call') {
    if (announcement.service !== undefined && !known.state)
      return { do: 'ignore', why: 'not a service of this instance' };
    return ignoredIfNotForHere(announcement, known) ?? { do: 'answer-roll-call' };
  }
  if (!known.state) return { do: 'ignore', why: 'not a service of this instance' };
  switch (announcement.kind) {
    case 'converge':
    case 'cancel':
      return ignoredIfNotForHere(announcement, known) ?? { do: announcement.kind };
    case 'deploy':
    case 'prepare':
      return admitChange(announcement, known, known.state);
  }
}

function admitChange(announcement: ChangeAnnouncement, known: Knowledge, state: ServiceState): Decision {
  if (isBeyondReach(announcement.sequence, known.now)) {
    return { do: 'refuse', code: 'DOCUMENT_INVALID', why: beyondReach(announcement.sequence) };
  }
  const targeted = isTargeted(announcement, known);
  if (targeted) {
    // A deployment that began or ended here is answered with its state, even after the announcement has expired.
    if (hasEnded(state, announcement.deployment)) return { do: 'repeat' };
    const underWay = findOrder(state, announcement.deployment);
    if (underWay) {
      // Proceeding changes the instance: so not with an expired announcement, and not after a newer one.
      const outdated = isExpired(announcement, known) || announcement.sequence < (state.seen?.sequence ?? 0);
      return announcement.kind === 'deploy' && underWay.hold && !outdated
        ? { do: 'proceed' }
        : { do: 'repeat' };
    }
  }
  const order = orderOf(announcement);
  if (isExpired(announcement, known)) {
    if (!targeted) return { do: 'ignore', why: 'expired, and for other instances' };
    const why = `the announcement expired at ${announcement.expiresAt}; AWS's clock says ${new Date(known.now).toISOString()}`;
    return { do: 'end', order, ending: 'rejected', code: 'EXPIRED', why };
  }
  const { seen } = state;
  if (seen && announcement.sequence < seen.sequence) {
    if (!targeted) return { do: 'ignore', why: 'outdated, and for other instances' };
    const why = `sequence ${announcement.sequence} is lower than ${seen.sequence}, the highest seen here`;
    return { do: 'end', order, ending: 'superseded', code: 'SUPERSEDED', why };
  }
  if (seen && announcement.sequence === seen.sequence && announcement.deployment !== seen.deployment) {
    if (!targeted)
      return {
        do: 'ignore',
        why: 'its sequence belongs to another deployment, and it is for other instances',
      };
    const why = `sequence ${announcement.sequence} belongs to deployment ${seen.deployment}`;
    return { do: 'end', order, ending: 'rejected', code: 'CONFLICT', why };
  }
  if (!targeted) return { do: 'raise', sequence: announcement.sequence };
  if (state.tombstones.includes(announcement.deployment)) {
    return {
      do: 'end',
      order,
      ending: 'cancelled',
      code: 'CANCELLED',
      why: 'the deployment was cancelled before its announcement arrived',
    };
  }
  return { do: 'accept', order };
}

function orderOf(announcement: ChangeAnnouncement): Order {
  return {
    deployment: announcement.deployment,
    service: announcement.service,
    sequence: announcement.sequence,
    version: announcement.version,
    action: announcement.action,
    artifacts: announcement.artifacts.map(bareArtifact),
    source: 'announcement',
    ...(announcement.replyTo === undefined ? {} : { replyTo: announcement.replyTo }),
    hold: announcement.kind === 'prepare',
  };
}

function isTargeted(announcement: Announcement, known: Knowledge): boolean {
  return announcement.targets === undefined || announcement.targets.includes(known.instance);
}

/**
 * Whether the announcement has expired. One that is valid for longer than any publisher allows counts as expired, too:
 * longer than LONGEST_EXPIRY_MS after `issuedAt`, or after now plus CLOCK_SKEW_MS if `issuedAt` is later than that.
 */
function isExpired(announcement: Announcement, known: Knowledge): boolean {
  const expiresAt = Date.parse(announcement.expiresAt);
  const validFor = expiresAt - Math.min(Date.parse(announcement.issuedAt), known.now + CLOCK_SKEW_MS);
  return expiresAt <= known.now || validFor > LONGEST_EXPIRY_MS;
}

/** Ignores a roll call, a converge or a cancel that is for other instances or has expired; else undefined. */
function ignoredIfNotForHere(announcement: Announcement, known: Knowledge): Decision | undefined {
  if (!isTargeted(announcement, known)) return { do: 'ignore', why: 'for other instances' };
  return isExpired(announcement, known)
    ? { do: 'ignore', why: `expired at ${announcement.expiresAt}` }
    : undefined;
}
