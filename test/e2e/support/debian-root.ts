import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { commandLine, inNamespaces } from './shell.ts';

/**
 * What every instance of these tests is made of: a Debian 12 as `debootstrap` makes it, and a server that the
 * distribution ships. Both are made once and kept in the user's cache, by the hash of their recipe; they are made
 * under another name and renamed when they are whole. The mirror is the one this machine's own apt uses.
 */
export interface Debian {
  /** The root directory. Never written to: instances are overlays of it. */
  readonly root: string;
  /** lighttpd as the distribution has it, not installed. */
  readonly lighttpd: string;
}

const SUITE = 'bookworm';
/** systemd and what the stories need: a JVM, polkit (and the logind it asks for) for an agent that is not root, what lighttpd depends on. */
const PACKAGES = [
  'systemd',
  'systemd-sysv',
  'dbus',
  'libpam-systemd',
  'polkitd',
  'iproute2',
  'default-jre-headless',
  'libnettle8',
  'libpcre2-8-0',
  'libxxhash0',
  'media-types',
];
/** While the root is made: nothing waits for the disk, and what no test reads is left out. */
const HASTE = `force-unsafe-io
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
`;
const HASTE_FILE = 'etc/dpkg/dpkg.cfg.d/e2e';
/**
 * There are no logins, nothing runs by the clock, and the journal outlives a reboot. No unit is generated: there is
 * nothing to generate one from, and twelve generators would run at each boot and each `systemctl daemon-reload`.
 */
const FINISH = `
set -eu
cd "$1"
rm -f ${HASTE_FILE} var/cache/apt/archives/*.deb
mkdir -p var/log/journal
for unit in console-getty getty@ systemd-logind systemd-networkd-wait-online systemd-update-utmp-runlevel; do
  ln -sf /dev/null etc/systemd/system/$unit.service
done
for timer in apt-daily apt-daily-upgrade dpkg-db-backup e2scrub_all fstrim systemd-tmpfiles-clean; do
  ln -sf /dev/null etc/systemd/system/$timer.timer
done
mkdir -p etc/systemd/system-generators
for generator in usr/lib/systemd/system-generators/*; do
  ln -sf /dev/null etc/systemd/system-generators/\${generator##*/}
done
`;
const WITHIN_MS = 15 * 60 * 1000;

/** @throws with what to install where this machine cannot make one: nothing is skipped. */
export async function debian(say: (line: string) => void): Promise<Debian> {
  await requireTools();
  const recipe = createHash('sha256').update(JSON.stringify([SUITE, PACKAGES, HASTE, FINISH]));
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'trigger-deploy');
  const kept = join(cache, `debian-${recipe.digest('hex').slice(0, 16)}`);
  if (!existsSync(kept)) {
    const began = performance.now();
    say('making a Debian root; it is kept for the next time');
    await mkdir(cache, { recursive: true });
    const made = await mkdtemp(join(cache, 'making-'));
    try {
      await makeRoot(join(made, 'root'));
      await fetchLighttpd(join(made, 'debs'));
      await rename(made, kept);
    } finally {
      await rm(made, { recursive: true, force: true });
    }
    say(`made a Debian root in ${((performance.now() - began) / 1000).toFixed(0)} s`);
  }
  const [lighttpd = ''] = await readdir(join(kept, 'debs'));
  return { root: join(kept, 'root'), lighttpd: join(kept, 'debs', lighttpd) };
}

async function requireTools(): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('instances are booted as root: run this as root');
  const needed = { debootstrap: 'debootstrap', 'systemd-nspawn': 'systemd-container', unshare: 'util-linux' };
  const path = (process.env.PATH ?? '').split(':');
  const missing = Object.entries(needed)
    .filter(([program]) => !path.some((directory) => existsSync(join(directory, program))))
    .map(([, name]) => name);
  if (missing.length > 0) throw new Error(`missing here: apt-get install ${missing.join(' ')}`);
}

async function makeRoot(root: string): Promise<void> {
  await mkdir(join(root, 'etc/dpkg/dpkg.cfg.d'), { recursive: true });
  await writeFile(join(root, HASTE_FILE), HASTE);
  const proxy = await commandLine(['apt-config', 'shell', 'proxy', 'Acquire::http::Proxy']);
  const httpProxy = /^proxy='(.+)'$/m.exec(proxy)?.[1];
  // A mount and pid namespace of its own: whatever ends this process unmounts and ends all of debootstrap's.
  await inNamespaces(
    ['debootstrap', '--variant=minbase', `--include=${PACKAGES.join(',')}`, SUITE, root, await mirror()],
    { timeout: WITHIN_MS, ...(httpProxy && { env: { http_proxy: httpProxy } }) },
  );
  await commandLine(['sh', '-c', FINISH, 'finish', root]);
}

/** Where this machine's apt gets Debian itself from. */
async function mirror(): Promise<string> {
  const format = '$(CODENAME) $(COMPONENT) $(CREATED_BY) $(REPO_URI)';
  const targets = await commandLine(['apt-get', 'indextargets', '--format', format]);
  const prefix = `${SUITE} main Packages `;
  const line = targets.split('\n').find((one) => one.startsWith(prefix));
  if (line === undefined) throw new Error(`apt here knows no ${SUITE} main: see /etc/apt/sources.list.d`);
  return line.slice(prefix.length);
}

async function fetchLighttpd(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const download = () => commandLine(['apt-get', 'download', '-q', `lighttpd/${SUITE}`], { cwd: directory });
  await download().catch(async () => {
    await commandLine(['apt-get', 'update', '-q'], { timeout: WITHIN_MS });
    await download();
  });
}

// Made beforehand, while there is something else to do.
if (import.meta.main) await debian((line) => process.stdout.write(`${line}\n`));
