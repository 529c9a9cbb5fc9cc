import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { NAMES } from '../../publisher/cli/verbs.ts';
import { type Compiled, openDescribed } from '../../systemd/chunk-files.ts';
import { PACKAGES, type PackageKind } from '../../systemd/packages.ts';

/** The packages that `npm run package` makes, for one architecture. */

let out: string;
let agent: string;

beforeAll(async () => {
  out = await mkdtemp(join(tmpdir(), 'trigger-deploy-packages-'));
  agent = await build('agent', 'first');
});
afterAll(() => rm(out, { recursive: true, force: true }));

async function build(kind: PackageKind, into: string): Promise<string> {
  const directory = join(out, `${into}-${kind}-work`);
  await mkdir(directory, { recursive: true });
  await mkdir(join(out, into), { recursive: true });
  return await PACKAGES[kind]({ version: '1.2.3', architecture: 'amd64', out: join(out, into), directory });
}

const dpkgDeb = async (...args: string[]) => (await execa('dpkg-deb', args)).stdout;
const digest = async (file: string) =>
  createHash('sha256')
    .update(await readFile(file))
    .digest('hex');

test('two builds give the same bytes, independent of the umask', async () => {
  const before = process.umask(0o077);
  try {
    expect(await digest(await build('agent', 'second'))).toBe(await digest(agent));
  } finally {
    process.umask(before);
  }
});

test('every file belongs to root, and only root can write it', async () => {
  const lines = (await dpkgDeb('--contents', agent)).split('\n');
  for (const line of lines) expect(line).toMatch(/^[d-]r[w-][x-]r-[x-]r-[x-] root\/root /);
});

test('the agent package contains Node, the program, the unit, the guard and the manual page', async () => {
  const names = (await dpkgDeb('--contents', agent)).split('\n').map((line) => line.split(/\s+/).at(-1));
  expect(names).toEqual(
    expect.arrayContaining([
      './usr/bin/trigger-deploy-agent',
      './usr/lib/trigger-deploy-agent/node',
      './usr/lib/trigger-deploy-agent/trigger-deploy-agent.js',
      './usr/lib/trigger-deploy-agent/trigger-deploy-agent.chunks',
      './usr/lib/trigger-deploy-agent/trigger-deploy-agent.compile.js',
      './usr/lib/trigger-deploy-agent/package.json',
      './usr/lib/trigger-deploy-agent/self-update',
      './usr/lib/systemd/system/trigger-deploy-agent.service',
      './usr/share/man/man8/trigger-deploy-agent.8.gz',
    ]),
  );
});

test('the config is a conffile and does not contain the package version', async () => {
  expect(await dpkgDeb('--info', agent, 'conffiles')).toBe('/etc/trigger-deploy/agent.yaml');
  expect(await readFile('systemd/agent/agent.yaml', 'utf8')).not.toContain('{version}');
});

test('the control file has name, version and architecture', async () => {
  expect(await dpkgDeb('--field', agent, 'Package', 'Version', 'Architecture')).toBe(
    'Package: trigger-deploy-agent\nVersion: 1.2.3\nArchitecture: amd64',
  );
});

test('the checksums match the files', async () => {
  const directory = join(out, 'unpacked');
  await dpkgDeb('--raw-extract', agent, directory);
  await execa('md5sum', ['--check', '--strict', '--quiet', 'DEBIAN/md5sums'], { cwd: directory });
});

test('the unit drops every capability or gives a reason to keep it', async () => {
  const unit = await readFile('systemd/agent/trigger-deploy-agent.service', 'utf8');
  // capabilities(7)
  const all = `AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE
    DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD
    NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN
    SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME
    SYS_TTY_CONFIG WAKE_ALARM`;
  for (const name of all.split(/\s+/)) expect(unit).toMatch(new RegExp(`\\bCAP_${name}\\b`));
});

test('a POSIX sh parses all scripts', async () => {
  for (const name of ['postinst', 'prerm', 'postrm', 'install.sh', 'self-update', 'trigger-deploy-agent'])
    await execa('sh', ['-n', join('systemd/agent', name)]);
  for (const name of ['postinst', 'prerm', 'trigger-deploy'])
    await execa('sh', ['-n', join('systemd/publisher', name)]);
});

test('the installation compiles the agent, with its own Node, for all users, and writable by its owner only', async () => {
  const directory = join(out, 'to-compile');
  await dpkgDeb('--extract', agent, directory);
  const lib = join(directory, 'usr/lib/trigger-deploy-agent');
  expect(await readFile('systemd/agent/postinst', 'utf8')).toContain(
    '"$lib/node" "$lib/trigger-deploy-agent.compile.js"',
  );
  const before = process.umask(0);
  try {
    await execa(join(lib, 'node'), [join(lib, 'trigger-deploy-agent.compile.js')], {
      stdin: 'ignore',
      cwd: '/',
    });
  } finally {
    process.umask(before);
  }
  const compiled = join(lib, 'trigger-deploy-agent.compiled');
  expect((await stat(compiled)).mode & 0o777).toBe(0o644);
  const { for: compiledFor, code } = openDescribed<Compiled>(compiled).head;
  expect(compiledFor).toMatch(/^[0-9a-f]{16} v24\.\d+\.\d+ x64$/);
  expect(Object.keys(code).length).toBeGreaterThan(10);
  expect((await readdir(lib)).filter((name) => name.endsWith('.new'))).toEqual([]);
  // prerm removes it: dpkg does not know the file.
  expect(await readFile('systemd/agent/prerm', 'utf8')).toContain(
    'rm -f /usr/lib/trigger-deploy-agent/*.compiled*',
  );
});

test('the tarball contains the same files and install.sh', async () => {
  const file = await build('tarball', 'first');
  const { stdout } = await execa('tar', ['-tzf', file]);
  const top = 'trigger-deploy-agent-1.2.3-linux-x64';
  const inTarball = stdout
    .split('\n')
    .filter((name) => name.startsWith(`${top}/files/`) && !name.endsWith('/'))
    .map((name) => name.slice(`${top}/files`.length))
    .sort();
  const inDeb = (await dpkgDeb('--contents', agent))
    .split('\n')
    .filter((line) => line.startsWith('-'))
    .map((line) => (line.split(/\s+/).at(-1) ?? '').slice(1))
    .sort();
  expect(inTarball).toEqual(inDeb);
  expect(stdout).toContain(`${top}/install.sh`);
});

test('the publisher has a manual page with every command, and their completion for bash and zsh', async () => {
  const directory = join(out, 'publisher-unpacked');
  await dpkgDeb('--raw-extract', await build('publisher', 'first'), directory);
  const files = {
    bash: '/usr/share/bash-completion/completions/trigger-deploy',
    zsh: '/usr/share/zsh/vendor-completions/_trigger-deploy',
  };
  const page = gunzipSync(
    await readFile(join(directory, 'usr/share/man/man1/trigger-deploy.1.gz')),
  ).toString();
  for (const name of NAMES) expect(page).toMatch(new RegExp(`^\\.B ${name}( |$)`, 'm'));
  const program = join(directory, 'usr/lib/trigger-deploy/trigger-deploy.js');
  for (const [shell, path] of Object.entries(files)) {
    const { stdout } = await execa(process.execPath, [program, 'completion', shell]);
    expect(await readFile(join(directory, path), 'utf8')).toBe(`${stdout}\n`);
  }
});
