import { orAborted } from '../../../shared/abort.ts';
import { forgetAfterOf } from '../../fleet/forgetting.ts';
import type { Person } from '../../record/origin.ts';
import type { Session } from '../../session.ts';
import type { RollCallView } from '../api.ts';
import type { Environments, Looks } from '../ports.ts';
import { askAll } from './ask-fleet.ts';
import { type EnvironmentReader, openEnvironmentReader } from './environment-reader.ts';
import { openOverview } from './look-overview.ts';
import { openServiceLook } from './look-service.ts';
import { rememberingSession } from './remembering-session.ts';

/** The looks at the fleet: each environment is read once, for the overview and for all pages of services. */

export interface FleetLooks extends Pick<Looks, 'overview' | 'service' | 'rollCall'> {
  /** Reads what this console has just changed, if somebody looks at it: a service, or without one the environment. */
  refresh(env: string, service?: string): void;
}

/** The shortest time between two roll calls of an environment, ms. */
const BETWEEN_MS = 5000;

export function openFleetLooks(environments: Environments): FleetLooks {
  const readers = new Map<string, EnvironmentReader>();
  /** By environment: the session that all looks share, with what it remembers. */
  const sessions = new Map<string, Session>();
  async function sessionOf(env: string): Promise<Session> {
    const found = sessions.get(env) ?? rememberingSession(await environments.look(env), sessionOf);
    sessions.set(env, found);
    return found;
  }
  function reader(env: string): EnvironmentReader {
    const open = () => sessionOf(env);
    const found = readers.get(env) ?? openEnvironmentReader(env, open, { silentAfterMs: forgetAfterOf });
    readers.set(env, found);
    return found;
  }
  /** By environment: the roll call that goes on, or ended less than `BETWEEN_MS` ago. */
  const calls = new Map<string, { answer: Promise<RollCallView>; until: number }>();

  /** It is not ended with the request of the person who asked first: others may wait for the same answer. */
  async function begin(env: string, person: Person): Promise<RollCallView> {
    try {
      // What the looks have read is not read again: only who is there, and what changed.
      const session = await sessionOf(env);
      const { call, view } = await askAll({ ...session, who: person.name.slice(0, 256), person });
      reader(env).answered(call, view);
      calls.set(env, { answer: Promise.resolve(view), until: performance.now() + BETWEEN_MS });
      return view;
    } catch (error) {
      calls.delete(env);
      throw error;
    }
  }

  const all = async () => (await environments.names()).map(reader);
  return {
    overview: () => openOverview(all),
    service: (service) => openServiceLook(all, service),
    async rollCall(env, person, signal) {
      const last = calls.get(env);
      if (last !== undefined && performance.now() < last.until) return await orAborted(last.answer, signal);
      const answer = begin(env, person);
      calls.set(env, { answer, until: Number.POSITIVE_INFINITY });
      return await orAborted(answer, signal);
    },
    refresh: (env, service) => readers.get(env)?.refresh(service),
  };
}
