import { createHash } from 'node:crypto';
import { copyFile, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { commandLine } from './shell.ts';
import type { Host } from './site.ts';

/** Makes these .deb files all that the instance's apt can install: no network is asked. */
export async function offerByApt(host: Host, ...debs: readonly string[]): Promise<void> {
  const entries = debs.map(async (deb) => {
    const bytes = await readFile(deb);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const control = (await commandLine(['dpkg-deb', '--field', deb])).trimEnd();
    return `${control}\nFilename: ./${basename(deb)}\nSize: ${bytes.length}\nSHA256: ${sha256}\n`;
  });
  await host.write('/srv/apt/Packages', (await Promise.all(entries)).join('\n'));
  for (const deb of debs) await copyFile(deb, host.seen(`/srv/apt/${basename(deb)}`));
  await host.write('/etc/apt/sources.list', 'deb [trusted=yes] file:/srv/apt ./\n');
  await host.ok(['apt-get', 'update', '-q']);
}
