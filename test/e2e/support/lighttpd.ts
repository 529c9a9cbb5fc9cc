import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { inject } from 'vitest';
import type { ServiceYaml } from '../../support/fleet/fleet.ts';
import { get } from './services.ts';
import { commandLine } from './shell.ts';
import type { Host } from './site.ts';

/** A third-party server package: lighttpd as Debian has it, and repacks of it that misbehave. */

/** Debian's own, as `inject('e2e').lighttpd` has it. */
export const [, DEBIANS = ''] = basename(inject('e2e').lighttpd).split('_');
const CONF = '/etc/lighttpd/lighttpd.conf';
const PAGE = 'usr/share/lighttpd/index.html';
/** Where the maintainer scripts of a slow repack say how far they are. */
const STAGE = '/run/lighttpd-stage';
const BIG = 'usr/share/lighttpd/big';
const BIG_BYTES = 192 * 1024 * 1024;

export interface Repack {
  version: string;
  /** Runs first in postinst, whatever it was called for. */
  postinst?: string;
  /** Added to Depends. */
  depends?: string;
  /** Scripts that say what they do and take two seconds, and a large file to unpack. */
  slow?: boolean;
}

/** Debian's package with another version, another page that says it and another conffile. Returns its path. */
export async function repack(dir: string, { version, postinst, depends, slow }: Repack): Promise<string> {
  await mkdir(dir, { recursive: true });
  const tree = await mkdtemp(join(dir, 'repack-'));
  await commandLine(['dpkg-deb', '-R', inject('e2e').lighttpd, tree]);
  await writeFile(join(tree, PAGE), `<p>lighttpd "version":"${version}"</p>\n`);
  await edit(join(tree, CONF), (conf) => `# ${version}\n${conf}`);
  await edit(join(tree, 'DEBIAN/control'), (control) =>
    control
      .replace(/^Version: .*$/m, `Version: ${version}`)
      .replace(/^Depends: /m, depends === undefined ? '$&' : `$&${depends}, `),
  );
  const begin = (script: string, text: string) =>
    edit(join(tree, 'DEBIAN', script), (old) => old.replace('\n', `\n${text}\n`));
  if (postinst !== undefined) await begin('postinst', postinst);
  if (slow) {
    const stage = (name: string) => `echo "${name} $1" >>${STAGE}\nsleep 4`;
    await begin('preinst', stage('preinst'));
    await begin('postinst', stage('postinst'));
    await writeFile(join(tree, BIG), '');
    await truncate(join(tree, BIG), BIG_BYTES);
  }
  const file = join(dir, `lighttpd_${version}.deb`);
  await commandLine(['dpkg-deb', '--build', '--root-owner-group', '-Zgzip', '-z1', tree, file]);
  await rm(tree, { recursive: true });
  return file;
}

async function edit(file: string, change: (text: string) => string): Promise<void> {
  await writeFile(file, change(await readFile(file, 'utf8')));
}

/** `lighttpd` as agent.yaml has it, and its conffile as the operator of this instance wrote it beforehand. */
export async function lighttpd(host: Host, pkg: ServiceYaml = {}): Promise<ServiceYaml> {
  const port = host.port('lighttpd');
  await host.write(CONF, confOf(port));
  return {
    package: { type: 'deb', name: 'lighttpd', ...pkg },
    manager: { type: 'systemd', unit: 'lighttpd.service' },
    checks: [{ http: { url: `http://127.0.0.1:${port}/`, body: 'lighttpd', successes: 2, deadline: '20s' } }],
    watch: '1s',
  };
}

const confOf = (port: number) => `server.modules = ("mod_indexfile", "mod_staticfile")
server.document-root = "/usr/share/lighttpd"
server.bind = "127.0.0.1"
server.port = ${port}
index-file.names = ("index.html")
mimetype.assign = (".html" => "text/html")
`;

/** Whether the conffile is what the operator wrote, whatever was installed since. */
export async function keepsItsConf(host: Host): Promise<boolean> {
  return (await host.read(CONF)) === confOf(host.port('lighttpd'));
}

/** The version that the served page says; Debian's own page says none. */
export async function lighttpdVersion(host: Host): Promise<string | undefined> {
  const page = await get(`http://127.0.0.1:${host.port('lighttpd')}/`);
  if (page === undefined) return undefined;
  return /"version":"([^"]+)"/.exec(page)?.[1] ?? DEBIANS;
}

/** What dpkg says: `install ok installed 1.4.69-1`. */
export async function dpkgState(host: Host): Promise<string> {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own.
  const { stdout } = await host.run(['dpkg-query', '-W', '-f', '${Status} ${Version}', 'lighttpd']);
  return stdout;
}

/** The stages of slow scripts so far, oldest first: `preinst upgrade`, `postinst configure`, …, and `unpack`. */
export async function stages(host: Host): Promise<string[]> {
  return ((await host.read(STAGE)) ?? '').split('\n').filter(Boolean);
}

export function isUnpacking(host: Host): boolean {
  return existsSync(host.seen(`/${BIG}.dpkg-new`));
}
