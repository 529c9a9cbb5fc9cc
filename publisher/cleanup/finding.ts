import { isCode, messageOf } from '../../shared/errors.ts';
import { note } from '../events.ts';
import type { Kind } from '../plan/gc-kinds.ts';
import type { Session } from '../session.ts';

/** One thing that can be deleted, was deleted, or is kept for a reason that a person should know. */
export interface Finding {
  kind: Kind;
  /** What it is: a queue, an instance, `payments 1.4.2`. */
  name: string;
  /** `found`: a dry run, which deletes nothing. */
  state: 'found' | 'deleted' | 'kept' | 'failed';
  /** Why it is deleted or kept, or what failed. */
  why: string;
  /** How old it is, or how long ago it was last used, ms. */
  ageMs?: number | undefined;
  bytes?: number | undefined;
  /** How many objects of S3 it has. */
  objects?: number | undefined;
}

export interface GcContext {
  session: Session;
  /** Whether to delete; else it is a dry run. */
  deletes: boolean;
  /** Only of this service. */
  service: string | undefined;
  findings: Finding[];
}

/** What is found, without its state. */
export type Found = Omit<Finding, 'state'>;

/** How many findings are worked on between two lines of progress. */
const PROGRESS_EVERY = 500;

/**
 * Adds `found` and, unless this is a dry run, deletes it with `remove`, which may answer why it keeps it after all. A
 * failure becomes a finding. @throws what is denied, as all others of the kind would be denied, too; after Ctrl-C.
 */
export async function collect(
  { session, deletes, findings }: GcContext,
  found: Found,
  remove: () => Promise<string | undefined>,
): Promise<void> {
  if (!deletes) {
    findings.push({ ...found, state: 'found' });
    return;
  }
  try {
    const keeps = await remove();
    findings.push({ ...found, state: keeps === undefined ? 'deleted' : 'kept', why: keeps ?? found.why });
  } catch (error) {
    if (session.signal.aborted || isCode(error, 'AWS_DENIED', 'INTERRUPTED')) throw error;
    findings.push({ ...found, state: 'failed', why: messageOf(error) });
  }
  if (findings.length % PROGRESS_EVERY === 0) note(session, `${findings.length} things looked at so far`);
}

export function keep({ findings }: GcContext, found: Found): void {
  findings.push({ ...found, state: 'kept' });
}
