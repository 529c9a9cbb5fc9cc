import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSamePackage } from './dependencies.ts';
import { architectures, type Control, type Database, isThere, type Known, known } from './dpkg.ts';

/**
 * Writes a copy of dpkg's database into the empty `directory`, as it will be after `installed` are installed and
 * `removed` are removed. Queries and simulations with it show whether the way back will be possible, before the way
 * forward begins. The copy has the relations between packages, and no lists of files.
 */
export async function databaseAfter(
  { installed, removed }: { installed: readonly Control[]; removed: readonly string[] },
  at: Database,
  directory: string,
): Promise<Database> {
  const stay = (await known(at)).filter(
    (one) => isThere(one) && !removed.includes(one.name) && !installed.some((deb) => isSamePackage(deb, one)),
  );
  const added = installed.map((deb): Known => ({ ...deb, status: 'installed', broken: false }));
  for (const path of ['info', 'updates', 'triggers']) await mkdir(join(directory, path), { recursive: true });
  await writeFile(join(directory, 'status'), [...stay, ...added].map(stanza).join('\n'));
  await writeFile(join(directory, 'available'), '');
  await writeFile(
    join(directory, 'arch'),
    (await architectures(at.signal)).map((one) => `${one}\n`).join(''),
  );
  return { signal: at.signal, admin: directory };
}

/** deb-control(5), with the Status field of dpkg's own database. */
function stanza(one: Known): string {
  const fields = {
    Package: one.name,
    Status: `install ${one.broken ? 'reinstreq' : 'ok'} ${one.status}`,
    Maintainer: 'nobody',
    Description: 'a copy',
    Architecture: one.architecture,
    'Multi-Arch': one.multiArch,
    Version: one.version,
    Provides: one.provides,
    Depends: one.depends,
    Conflicts: one.conflicts,
    Breaks: one.breaks,
    Replaces: one.replaces,
  };
  const lines = Object.entries(fields).filter(([, value]) => value !== '');
  return lines.map(([field, value]) => `${field}: ${value}\n`).join('');
}
