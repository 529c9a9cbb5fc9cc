import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { countCalls } from './calls.ts';
import { cleanUp, makeDirectory } from './clean-up.ts';
import { measureConsole } from './console/console.ts';
import { type Figures, type Part, readFigures, writeFigures } from './figures.ts';
import { footprint } from './footprint.ts';
import {
  type Account,
  describeMachine,
  load,
  missingPackages,
  openAccount,
  root,
  versionOfPackage,
} from './machine.ts';
import { compare } from './peers/compare.ts';
import { PEERS, type PeerName } from './peers/peers.ts';
import { PACKAGES, takenPort } from './peers/world.ts';
import { runScale } from './scale/scale.ts';
import { tables } from './tables.ts';

/** `npm run bench`: measures, and writes docs/PERFORMANCE.md with the change against the last run. */

const HELP = `usage: npm run bench [-- OPTIONS]

Measures this project on an idle Debian machine, as root, and writes the tables of docs/PERFORMANCE.md. The figures are
kept in test/bench/figures.json; the next run shows the change against them.

  --part NAME       compare, footprint, calls, scale or console; may be given several times (default: all)
  --hosts LIST      numbers of hosts of the comparison (default: 1,10,30)
  --megabytes LIST  sizes of the artifact (default: 10,100)
  --rounds N        rounds of the comparison (default: 3)
  --peers LIST      ${PEERS.join(',')} (default: all)
  --minutes N       the comparison begins no new row after this time (default: 40)
  --dry-run         print the tables, and write nothing
  --help

example: npm run bench -- --part compare --hosts 1 --megabytes 10 --rounds 1 --dry-run
`;

const PARTS = ['calls', 'footprint', 'compare', 'scale', 'console'] as const;
/** Above this share of the CPU, other programs make the figures worthless; 0 to 1. */
const BUSY = 0.1;

const values = readOptions();
let account: Account | undefined;
process.on('exit', () => {
  cleanUp(() => account?.others() ?? []);
  account?.close();
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => process.exit(128 + constants.signals[signal]));
if (values.help) {
  process.stdout.write(HELP);
} else {
  await main();
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        part: { type: 'string', multiple: true },
        hosts: { type: 'string', default: '1,10,30' },
        megabytes: { type: 'string', default: '10,100' },
        rounds: { type: 'string', default: '3' },
        peers: { type: 'string', default: PEERS.join(',') },
        minutes: { type: 'string', default: '40' },
        'dry-run': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    return refuse(`${(error as Error).message.split('. ')[0]}; --help shows the options`);
  }
}

async function main(): Promise<void> {
  const parts = PARTS.filter((part) => values.part === undefined || values.part.includes(part));
  const unknown = values.part?.find((part) => !PARTS.some((known) => known === part));
  if (unknown !== undefined || parts.length === 0) refuse(`--part ${unknown}: use ${PARTS.join(', ')}`);
  const peers = list('peers').filter((name): name is PeerName => PEERS.some((known) => known === name));
  if (peers.length !== list('peers').length) refuse(`--peers ${values.peers}: use ${PEERS.join(',')}`);
  const options = {
    hosts: numbers('hosts'),
    megabytes: numbers('megabytes'),
    rounds: number('rounds'),
    peers,
  };
  const minutes = number('minutes');
  if (parts.includes('compare')) {
    if (process.getuid?.() !== 0) refuse('the comparison starts an sshd and needs root');
    const missing = missingPackages(PACKAGES);
    if (missing.length > 0) refuse(`missing: apt-get install --no-install-recommends ${missing.join(' ')}`);
    const port = await takenPort(Math.max(...options.hosts));
    if (port !== undefined) refuse(`another program listens on port ${port}: stop it, and try again`);
    account = openAccount();
  }
  execFileSync(process.execPath, [join(root, 'systemd', 'build.ts')], {
    env: { ...process.env, TMPDIR: await makeDirectory('build') },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const busy = await load(5000);
  if (busy > BUSY)
    say(
      `warning: other programs use ${Math.round(busy * 100)} % of the CPU: only ratios are worth something`,
    );
  const part = <T>(figures: T): Part<T> => ({
    at: new Date().toISOString(),
    machine: describeMachine(),
    load: Math.round(busy * 100) / 100,
    figures,
  });
  const before = await readFigures();
  const now: Figures = {};
  if (parts.includes('calls')) now.calls = part(await countCalls());
  if (parts.includes('footprint')) now.footprint = part(await footprint(say));
  if (account !== undefined) {
    const until = Date.now() + minutes * 60_000;
    now.compare = {
      ...part(await compare({ ...options, until, account, say })),
      versions: versionsOfPeers(),
    };
  }
  if (parts.includes('scale')) now.scale = part(await runScale(say));
  if (parts.includes('console')) now.console = part(await measureConsole(say));
  const blocks = tables(now, before);
  for (const [name, text] of Object.entries(blocks)) process.stdout.write(`\n${name}\n\n${text}\n`);
  if (values['dry-run']) return;
  await writeFigures({ ...before, ...now });
  await writePage(blocks);
}

/** Replaces each block of the page between its two comments. @throws when the page has no such block. */
async function writePage(blocks: Record<string, string>): Promise<void> {
  const file = join(root, 'docs', 'PERFORMANCE.md');
  let page = await readFile(file, 'utf8');
  for (const [name, text] of Object.entries(blocks)) {
    const [begin, end] = [`<!-- bench: ${name} -->`, `<!-- end: ${name} -->`];
    const [from, to] = [page.indexOf(begin), page.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`docs/PERFORMANCE.md has no block ${name}`);
    page = `${page.slice(0, from)}${begin}\n${text}\n${page.slice(to)}`;
  }
  await writeFile(file, page);
}

function versionsOfPeers(): string {
  const versions = ['clustershell', 'ansible-core', 'openssh-server', 'nginx-light', 'openssl'].map(
    (name) => `${name} ${versionOfPackage(name)}`,
  );
  return `Compared with: ${versions.join(', ')}`;
}

function list(name: 'hosts' | 'megabytes' | 'peers'): string[] {
  const given = values[name].split(',').filter(Boolean);
  return given.length > 0 ? given : refuse(`--${name} names none`);
}

function numbers(name: 'hosts' | 'megabytes'): number[] {
  return list(name).map((text) => positive(name, text));
}

function number(name: 'rounds' | 'minutes'): number {
  return positive(name, values[name]);
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) refuse(`--${name} ${text}: use a whole number above 0`);
  return value;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function refuse(why: string): never {
  say(`bench: ${why}`);
  process.exit(2);
}
