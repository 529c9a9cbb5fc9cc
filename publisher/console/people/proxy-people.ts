import type { Clock } from '../../../shared/clock.ts';
import { TriggerDeployError } from '../../../shared/errors.ts';
import type { ConsoleConfig } from '../../config/load-console.ts';
import type { Person } from '../../record/origin.ts';
import { isLoopback, type ListenPlace } from '../http/listen.ts';
import type { People, Refusal } from '../ports.ts';
import { personOfClaims } from './person-claims.ts';
import { notIdentified } from './person-refusal.ts';
import { grantsOf, mayRun } from './roles.ts';

/** Whether only this machine reaches it. */
const isLocalPlace = (place: ListenPlace) => 'path' in place || isLoopback(place);

type PersonOf = People['personOf'];

/**
 * The people behind a proxy: `console.trust` says how each request proves who sends it, `console.allow` what each person
 * may do.
 * @throws USAGE when nothing says who a person is, or when a header without a signature would come over a network;
 * CONFIG_INVALID when a file of the config cannot be used.
 */
export async function createProxyPeople(
  config: ConsoleConfig,
  { place, clock }: { place: ListenPlace; clock: Clock },
): Promise<People> {
  const personOf = await personReader(config, place, clock);
  return {
    mode: 'proxy',
    personOf,
    grantsOf: (person) => grantsOf(config.allow, person),
    mayRun: (person, command) => mayRun(config.allow, person, command),
  };
}

async function personReader(config: ConsoleConfig, place: ListenPlace, clock: Clock): Promise<PersonOf> {
  const { trust, url } = config;
  if (trust === undefined || url === undefined) {
    throw new TriggerDeployError('USAGE', '--listen needs console.url and console.trust in the config', {
      hint: 'console.trust says how a proxy proves who a person is; without --listen the console is for this machine only',
    });
  }
  const via = new URL(url).host;
  if ('header' in trust) {
    if (!isLocalPlace(place)) {
      throw new TriggerDeployError(
        'USAGE',
        'console.trust.header needs a unix socket or a loopback address',
        {
          hint: 'a header without a signature proves nothing on a network: use --listen 127.0.0.1:PORT with the proxy on this machine, or console.trust.jwt',
        },
      );
    }
    const { headerReader } = await import('./person-header.ts');
    const read = await headerReader(trust, via);
    return async (headers) => read(headers);
  }
  const verify = await verifierOf(trust, clock);
  return async (headers): Promise<{ person: Person; until?: number } | { refusal: Refusal }> => {
    const verified = await verify(headers);
    if ('refusal' in verified) return verified;
    const { claims, iss, until } = verified;
    const person = personOfClaims(claims, { person: config.person, groups: config.groups, via, iss });
    if (person === undefined) return { refusal: notIdentified(`its claim ${config.person} is no name`) };
    return { person, ...(until !== undefined && { until }) };
  };
}

async function verifierOf(
  trust: Exclude<ConsoleConfig['trust'], undefined | { header: string }>,
  clock: Clock,
) {
  if ('alb' in trust) {
    const { albVerifier } = await import('./person-alb.ts');
    return await albVerifier(trust, clock);
  }
  const { jwtVerifier } = await import('./person-jwt.ts');
  return await jwtVerifier(trust.jwt, clock);
}
