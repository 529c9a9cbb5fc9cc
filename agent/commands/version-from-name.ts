import { basename } from 'node:path';
import { TriggerDeployError } from '../../shared/errors.ts';
import { versionName } from '../../shared/names.ts';

const EXTENSION = /(\.tar\.gz|\.[a-z]{2,4})$/;
/** What stands between the name and the version, and how a version begins. */
const VERSION = /[-_]v?(\d[A-Za-z0-9._+~-]*)$/;

/**
 * The version in a file's name: `payments-1.4.3.jar` → `1.4.3`.
 * @throws USAGE where it names none.
 */
export function versionInName(path: string, service: string): string {
  const name = basename(path);
  const stem = name.replace(EXTENSION, '');
  const found = versionIn(stem, service);
  const version = versionName.safeParse(found);
  if (version.success) return version.data;
  throw new TriggerDeployError('USAGE', `${name} does not say which version it is`, {
    hint: 'say it: --version 1.4.3',
  });
}

/** What follows the service's own name, where the file is named after it: that may hold digits, too. */
function versionIn(stem: string, service: string): string | undefined {
  const rest = stem.startsWith(service) ? stem.slice(service.length) : undefined;
  return (/^[-_]v?(\d.*)$/.exec(rest ?? '') ?? VERSION.exec(stem))?.[1];
}
