import { basename } from 'node:path';
import { TriggerDeployError } from '../../shared/errors.ts';
import { versionName } from '../../shared/names.ts';

const EXTENSION = /(\.tar\.gz|\.[a-z]{2,4})$/;
/** The separator, an optional `v`, then the version: it begins with a digit and ends the name. */
const VERSION = /[-_]v?(\d[A-Za-z0-9._+~-]*)$/;

/**
 * The version in the name of a file: `1.4.3` in `payments-1.4.3.jar`.
 * @throws USAGE if the name contains no version.
 */
export function versionFromName(path: string, service: string): string {
  const name = basename(path);
  const stem = name.replace(EXTENSION, '');
  const version = versionName.safeParse(versionIn(stem, service));
  if (version.success) return version.data;
  throw new TriggerDeployError('USAGE', `the name ${name} contains no version`, {
    hint: 'add --version, such as --version 1.4.3',
  });
}

/**
 * The version in `stem`. If `stem` begins with the service's name, the version is looked for after the name, because
 * the name may contain digits. Otherwise it is looked for at the end.
 */
function versionIn(stem: string, service: string): string | undefined {
  const rest = stem.startsWith(service) ? stem.slice(service.length) : undefined;
  return (/^[-_]v?(\d.*)$/.exec(rest ?? '') ?? VERSION.exec(stem))?.[1];
}
