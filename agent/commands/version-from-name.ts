import { basename } from 'node:path';
import { TriggerDeployError } from '../../shared/errors.ts';
import { versionName } from '../../shared/names.ts';

const EXTENSION = /(\.tar\.gz|\.[a-z]{2,4})$/;
/** The separator between name and version, and the first characters of a version. */
const VERSION = /[-_]v?(\d[A-Za-z0-9._+~-]*)$/;

/**
 * The version in a file's name: `payments-1.4.3.jar` → `1.4.3`.
 * @throws USAGE where the name has none.
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

/** What follows the service's name, where the file is named after the service: such a name may contain digits. */
function versionIn(stem: string, service: string): string | undefined {
  const rest = stem.startsWith(service) ? stem.slice(service.length) : undefined;
  return (/^[-_]v?(\d.*)$/.exec(rest ?? '') ?? VERSION.exec(stem))?.[1];
}
