import { openRecord } from '../../record/record.ts';
import type { Session } from '../../session.ts';

/**
 * The session for the looks of the pages: what it reads of the record is kept by its ETag. Nothing but a roll call acts with it.
 * @param beside gives such a session of another environment.
 */
export function rememberingSession(session: Session, beside: Session['beside']): Session {
  const { env, aws, clock, who, origin, signer, verifier, signal } = session;
  // What is wrong in the record is shown where it matters; a console has no terminal to warn at.
  const warn = () => undefined;
  const about = { env, aws, clock, who, origin, signer, verifier, warn, reading: signal };
  return { ...session, record: openRecord({ ...about, remembers: true }), beside };
}
