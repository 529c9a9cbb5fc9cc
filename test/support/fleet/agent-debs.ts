import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { PACKAGES } from '../../../systemd/packages.ts';

/** Agents to be deployed as a service of their own: good ones, and such as must be taken back. */

/** What the agent does instead of its work, as the first lines of its program. */
const PRELUDES = {
  good: '',
  /** Ends at once, whatever it is asked to do. */
  crashes: `process.stderr.write('trigger-deploy-agent: a module is missing\\n'); process.exit(1);`,
  /** Starts, and is never ready. */
  hangs: `if (process.argv[2] === 'run') { setInterval(() => {}, 1000); return; }`,
  /** Is ready, and reaches neither its queue nor its record. */
  deaf: `process.env.AWS_ENDPOINT_URL = 'http://127.0.0.1:1';`,
  /** Reaches everything, and dies some seconds after each start. */
  fades: `if (process.argv[2] === 'run') setTimeout(() => process.exit(1), 5000);`,
} as const;
export type AgentBehaviour = keyof typeof PRELUDES;

/** Builds the agent's .deb for this machine into `out`; resolves to its path. */
export async function buildAgentDeb(
  version: string,
  behaviour: AgentBehaviour,
  out: string,
): Promise<string> {
  const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const working = await mkdtemp(join(tmpdir(), 'trigger-deploy-agent-deb-'));
  try {
    const directory = join(working, 'build');
    await mkdir(directory);
    await mkdir(out, { recursive: true });
    const file = await PACKAGES.agent({ version, architecture, out, directory });
    if (behaviour !== 'good') await change(file, PRELUDES[behaviour], join(working, 'changed'));
    return file;
  } finally {
    await rm(working, { recursive: true, force: true });
  }
}

async function change(deb: string, prelude: string, directory: string): Promise<void> {
  await execa('dpkg-deb', ['--raw-extract', deb, directory]);
  const program = join(directory, 'usr/lib/trigger-deploy-agent/trigger-deploy-agent.js');
  const [shebang = '', ...lines] = (await readFile(program, 'utf8')).split('\n');
  await writeFile(program, [shebang, prelude, ...lines].join('\n'));
  await execa('dpkg-deb', ['--root-owner-group', '-Zzstd', '-z1', '--build', directory, deb]);
}
