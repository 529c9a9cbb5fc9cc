import { isCode, messageOf } from '../../shared/errors.ts';
import { note } from '../events.ts';
import type { Forgotten } from '../record/deployment-schema.ts';
import type { Session } from '../session.ts';
import { type Ec2Word, forgottenOf, type LastWrites } from './forget.ts';

/** Finds out which of the instances that do not answer are gone. Nothing is asked of AWS while all answer. */

/** `forgetAfter` where the config says nothing, ms. */
const FORGET_AFTER_MS = 60 * 60_000;
/** `forgetAtMost` where the config says nothing. */
const FORGET_AT_MOST = { percent: 25 };
/** So many instances that have answered are asked for, too: EC2 must know one of them. */
const WITNESSES = 5;
/** How long it is not looked again, ms: instances end one after the other, and each look lists all heartbeats. */
const AGAIN_MS = 30_000;

/** What a publisher knows of instances that are gone, for one deployment. */
export interface Forgetting {
  /** Those that are not waited for, as of the last look. */
  readonly found: readonly Forgotten[];
  /**
   * Looks for those of `silent` that are gone; `answered` have answered. Looks at most every 30 s, and for an instance that
   * has answered only where EC2 can say that it is gone. Never throws: what
   * cannot be found out is waited for, with a warning.
   */
  look(instances: { silent: readonly string[]; answered: readonly string[] }): Promise<readonly Forgotten[]>;
}

/** How long an instance must have written nothing to be called silent on a page, ms. */
export function forgetAfterOf({ env: { forgetAfterMs = FORGET_AFTER_MS } }: Pick<Session, 'env'>): number {
  return Number.isFinite(forgetAfterMs) ? forgetAfterMs : FORGET_AFTER_MS;
}

export function openForgetting(
  session: Session,
  service: string,
  found: readonly Forgotten[] = [],
): Forgetting {
  let looked = Number.NEGATIVE_INFINITY;
  const warned = new Set<string>();
  const warn = (text: string) => {
    if (!warned.has(text)) note(session, text, 'warning');
    warned.add(text);
  };
  const forgetting = { found };
  return {
    get found() {
      return forgetting.found;
    },
    async look({ silent, answered }) {
      const now = session.clock.monotonic();
      const heard = new Set(answered);
      const asked = session.env.ec2 ? silent : silent.filter((instance) => !heard.has(instance));
      if (asked.length === 0 || now - looked < AGAIN_MS) return forgetting.found;
      looked = now;
      try {
        const all = await findForgotten(session, service, { silent: asked, answered, warn });
        session.signal.throwIfAborted();
        forgetting.found = all;
      } catch (error) {
        if (!session.signal.aborted) warn(`cannot find out which instances are gone: ${messageOf(error)}`);
      }
      return forgetting.found;
    },
  };
}

async function findForgotten(
  session: Session,
  service: string,
  {
    silent,
    answered,
    warn,
  }: { silent: readonly string[]; answered: readonly string[]; warn: (text: string) => void },
): Promise<Forgotten[]> {
  const { env, clock } = session;
  const { forgetAfterMs = FORGET_AFTER_MS, forgetAtMost = FORGET_AT_MOST } = env;
  if (!env.ec2 && forgetAfterMs === Number.POSITIVE_INFINITY) return [];
  const writes = await lastWritesOf(session, service, silent);
  const { word, isId } = await ec2Word(session, { silent, answered, warn });
  const { forgotten, tooMany } = forgottenOf(
    silent,
    { writes, ec2: word, isEc2Id: isId },
    { now: clock.now(), forgetAfterMs, forgetAtMost, answered: new Set(answered) },
  );
  if (tooMany.length > 0 && answered.length > 0) {
    warn(
      `${tooMany.length} instances have been silent for a long time, more than forgetAtMost allows to leave out: waiting for them. If they are gone: trigger-deploy gc --env ${env.name}`,
    );
  }
  return forgotten;
}

/** When these instances last wrote. */
async function lastWritesOf(
  { record }: Pick<Session, 'record'>,
  service: string,
  instances: readonly string[],
): Promise<Map<string, LastWrites>> {
  const { heartbeats, records } = await record.deployments.lastWrites(service);
  return new Map(instances.map((one) => [one, { heartbeat: heartbeats.get(one), record: records.get(one) }]));
}

/** What EC2 says about these instances; no word where the config does not allow to ask it, or it does not answer. */
export async function ec2Word(
  session: Session,
  {
    silent,
    answered,
    warn,
  }: { silent: readonly string[]; answered: readonly string[]; warn: (text: string) => void },
): Promise<{ word: Ec2Word | undefined; isId: (instance: string) => boolean }> {
  if (!session.env.ec2) return { word: undefined, isId: () => false };
  const { ec2States, isEc2Id } = await import('./ec2.ts');
  const witnesses = answered.filter(isEc2Id).slice(0, WITNESSES);
  try {
    const states = await ec2States(session, [...silent, ...witnesses]);
    const knowsFleet = witnesses.some((one) => states.has(one));
    return { word: { states, knowsFleet }, isId: isEc2Id };
  } catch (error) {
    if (session.signal.aborted || !isCode(error)) throw error;
    warn(`${error.message}; going on without the word of EC2 (ec2:DescribeInstances)`);
    return { word: undefined, isId: isEc2Id };
  }
}
