import {
  type Announcement,
  type CancelAnnouncement,
  type ChangeAnnouncement,
  LONGEST_EXPIRY_MS,
} from '../../shared/announcement.ts';
import type { ErrorCode } from '../../shared/errors.ts';
import { bareArtifact } from '../../shared/manifest.ts';
import { isReplyQueueName } from '../../shared/names.ts';
import { hasEnded, type Order, type ServiceState } from '../deploy/state.ts';

/** How far the clocks of a publisher and of AWS may be apart before an issue in the future is no mistake, ms. */
const CLOCK_SKEW_MS = 5 * 60 * 1000;

/**
 * A verified announcement, and what this instance knows → what to do about it. Pure, and the one place
 * where it is decided; the caller does it, and forgets the message only once it is in the journal.
 */
export type Decision =
  /** Not for us, or of no consequence. */
  | { do: 'ignore'; why: string }
  /** Signed, and yet nothing an honest publisher sends: logged and counted, never answered. */
  | { do: 'refuse'; code: ErrorCode; why: string }
  | { do: 'answer-roll-call' }
  | { do: 'converge' }
  | { do: 'cancel' }
  /** Heard, and remembered, although it is aimed at others. */
  | { do: 'raise' }
  | { do: 'accept'; order: Order }
  | { do: 'proceed' }
  | { do: 'repeat' }
  /** An ending for a deployment that never begins here. */
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
  /** What is known of the announced service; undefined when it is none of this instance's. */
  state: ServiceState | undefined;
}

export function admit(said: Announcement, known: Knowledge): Decision {
  if (said.env !== known.env) {
    return { do: 'refuse', code: 'WRONG_ENVIRONMENT', why: `it is for ${said.env}, this is ${known.env}` };
  }
  if (said.replyTo !== undefined && !isReplyQueueName(known.env, said.replyTo)) {
    return {
      do: 'refuse',
      code: 'DOCUMENT_INVALID',
      why: 'replyTo is not the name of a reply queue of this environment',
    };
  }
  if (said.kind === 'roll-call') {
    if (said.service !== undefined && !known.state)
      return { do: 'ignore', why: 'not a service of this instance' };
    if (!isTargeted(said, known)) return { do: 'ignore', why: 'aimed at others' };
    return lapsed(said, known) ?? { do: 'answer-roll-call' };
  }
  if (!known.state) return { do: 'ignore', why: 'not a service of this instance' };
  switch (said.kind) {
    case 'converge':
      if (!isTargeted(said, known)) return { do: 'ignore', why: 'aimed at others' };
      return lapsed(said, known) ?? { do: 'converge' };
    case 'cancel':
      return admitCancel(said, known);
    case 'deploy':
    case 'prepare':
      return admitChange(said, known, known.state);
  }
}

function admitCancel(said: CancelAnnouncement, known: Knowledge): Decision {
  if (!isTargeted(said, known)) return { do: 'ignore', why: 'aimed at others' };
  return lapsed(said, known) ?? { do: 'cancel' };
}

function admitChange(said: ChangeAnnouncement, known: Knowledge, state: ServiceState): Decision {
  const targeted = isTargeted(said, known);
  if (targeted) {
    // What began here, or ended here, is answered as it stands, however late it comes again.
    if (hasEnded(state, said.deployment)) return { do: 'repeat' };
    const underWay = [state.active?.order, state.waiting].find(
      (order) => order?.deployment === said.deployment,
    );
    if (underWay) {
      // To go on is to deploy: not too late, and not once something newer was heard of.
      const outdated = isExpired(said, known) || said.sequence < (state.seen?.sequence ?? 0);
      return said.kind === 'deploy' && underWay.hold && !outdated ? { do: 'proceed' } : { do: 'repeat' };
    }
  }
  const order = orderOf(said);
  if (isExpired(said, known)) {
    if (!targeted) return { do: 'ignore', why: 'expired, and aimed at others' };
    const why = `it expired at ${said.expiresAt}; AWS's clock says ${new Date(known.now).toISOString()}`;
    return { do: 'end', order, ending: 'rejected', code: 'EXPIRED', why };
  }
  const { seen } = state;
  if (seen && said.sequence < seen.sequence) {
    if (!targeted) return { do: 'ignore', why: 'older than what was seen, and aimed at others' };
    const why = `sequence ${said.sequence} is older than ${seen.sequence}, which was seen before`;
    return { do: 'end', order, ending: 'superseded', code: 'SUPERSEDED', why };
  }
  if (seen && said.sequence === seen.sequence && said.deployment !== seen.deployment) {
    if (!targeted) return { do: 'ignore', why: 'a conflict aimed at others' };
    const why = `sequence ${said.sequence} belongs to deployment ${seen.deployment}`;
    return { do: 'end', order, ending: 'rejected', code: 'CONFLICT', why };
  }
  if (!targeted) return { do: 'raise' };
  if (state.tombstones.includes(said.deployment)) {
    return {
      do: 'end',
      order,
      ending: 'cancelled',
      code: 'CANCELLED',
      why: 'it was cancelled before it arrived',
    };
  }
  return { do: 'accept', order };
}

function orderOf(said: ChangeAnnouncement): Order {
  return {
    deployment: said.deployment,
    service: said.service,
    sequence: said.sequence,
    version: said.version,
    action: said.action,
    artifacts: said.artifacts.map(bareArtifact),
    source: 'announcement',
    ...(said.replyTo === undefined ? {} : { replyTo: said.replyTo }),
    hold: said.kind === 'prepare',
  };
}

function isTargeted(said: Announcement, known: Knowledge): boolean {
  return said.targets === undefined || said.targets.includes(known.instance);
}

/** Expiry fails closed: a life longer than any publisher gives, from its issue or from now, counts as expired, too. */
function isExpired(said: Announcement, known: Knowledge): boolean {
  const expiresAt = Date.parse(said.expiresAt);
  const life = expiresAt - Math.min(Date.parse(said.issuedAt), known.now + CLOCK_SKEW_MS);
  return expiresAt <= known.now || life > LONGEST_EXPIRY_MS;
}

function lapsed(said: Announcement, known: Knowledge): Decision | undefined {
  return isExpired(said, known) ? { do: 'ignore', why: `expired at ${said.expiresAt}` } : undefined;
}
