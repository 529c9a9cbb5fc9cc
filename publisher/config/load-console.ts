import { dirname } from 'node:path';
import { mistaken } from '../../shared/config-file.ts';
import { type ConfigSource, findConfigFile, pathFrom } from './config-source.ts';
import { noEnvironments, readEnvironments } from './environments.ts';
import type { AlbTrust, AllowRule, HeaderTrust, JwtTrust } from './schema-console.ts';

/** `console:` as the console uses it: paths absolute, defaults applied. */
export interface ConsoleConfig {
  /** The address of the console, without a slash at its end. */
  url?: string | undefined;
  /** Who says who the person is; without it the console is on loopback only. */
  trust?: AlbTrust | { jwt: JwtTrust } | HeaderTrust | undefined;
  /** The claim with the name of the person. */
  person: string;
  /** The claim with the groups of the person. */
  groups: string;
  allow: readonly AllowRule[];
  links: { logs?: string | undefined; builds?: string | undefined };
  /** Whether a console continues rolling deployments whose console stopped. */
  resume: boolean;
}

/**
 * The `console:` of the config file; what a file without it gives when there is none.
 * @throws CONFIG_INVALID, with every mistake of the file at once.
 */
export async function loadConsole(source: ConfigSource): Promise<ConsoleConfig> {
  const file = await findConfigFile(source);
  const { console: inFile, mistakes } = file ? readEnvironments(file) : noEnvironments();
  if (file && mistakes.length > 0) throw mistaken(file.name, mistakes);
  const { url, trust, person = 'email', groups = 'groups', allow = [], links = {}, resume } = inFile ?? {};
  const path = (value: string) => pathFrom(dirname(file?.name ?? source.cwd), value, source.home);
  const absolute =
    trust !== undefined && 'secretFile' in trust ? { ...trust, secretFile: path(trust.secretFile) } : trust;
  return { url, trust: absolute, person, groups, allow, links, resume: resume ?? false };
}
