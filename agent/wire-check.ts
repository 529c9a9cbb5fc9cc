import { access, constants } from 'node:fs/promises';
import type { Aws } from '../shared/aws.ts';
import { callerUserId } from '../shared/caller-identity.ts';
import { desired } from '../shared/desired.ts';
import { messageOf } from '../shared/errors.ts';
import { createLifecycleActions } from './aws/auto-scaling.ts';
import { finding } from './aws/aws-call.ts';
import { probeClock, probeEndpoints } from './aws/probe-endpoints.ts';
import { probeMetadata } from './aws/probe-metadata.ts';
import { probeLogUpload, probeTooMuch } from './aws/probe-permissions.ts';
import { probeOwnQueue } from './aws/probe-queue.ts';
import { createDesiredStore } from './aws/s3-stores.ts';
import type { CheckProbe, CheckProbes } from './commands/deps.ts';
import type { AgentConfig, AgentServiceConfig } from './config.ts';
import type { Finding, PackageType } from './deploy/ports.ts';
import { freeSpace } from './host/fs/durable-files.ts';
import { identify, loadVerifier } from './wire-instance.ts';

/** What `check` looks at around the services. Loaded only by `check`. */

/** Less free space than this is a warning, bytes. */
const LITTLE_SPACE = 512 * 1024 ** 2;
const UNUSED = 'trigger-deploy-check';

export function checkProbes(config: AgentConfig, aws: Aws): CheckProbes {
  const { env, bucket, state, lifecycle, instance } = config;
  const environment: CheckProbe[] = [
    { id: 'queue', run: (signal) => ownQueue(config, aws, signal) },
    { id: 'endpoint', run: (signal) => probeEndpoints(aws, config, signal) },
    { id: 'clock', run: async () => [probeClock(aws)] },
    { id: 'permission-too-much', run: (signal) => probeTooMuch(aws, { bucket, env }, signal) },
    { id: 'space', run: () => space(state) },
  ];
  if (instance === undefined || lifecycle) {
    const endpoint = process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT || undefined;
    environment.unshift({ id: 'metadata', run: (signal) => probeMetadata(signal, endpoint) });
  }
  if (lifecycle?.autoScaling) {
    const { group } = lifecycle.autoScaling;
    environment.push({
      id: 'auto-scaling',
      async run(signal) {
        const { instance: own } = await identify(config, signal);
        const actions = createLifecycleActions({ aws, instance: own, group });
        // No hook has this name: Auto Scaling answers that no such action waits.
        const asked = await finding('use lifecycle actions', signal, async () => {
          await actions.heartbeat(UNUSED, signal);
          return 'lifecycle actions of Auto Scaling can be completed';
        });
        return [asked];
      },
    });
  }
  return {
    environment,
    ofService: (name, service, pkg) => [
      { id: 'drift', run: (signal) => drift(config, aws, { name, pkg }, signal) },
      { id: 'space', run: () => space(service.package.dir) },
      ...logProbes(config, aws, name, service),
    ],
  };
}

async function ownQueue(config: AgentConfig, aws: Aws, signal: AbortSignal): Promise<Finding[]> {
  const { env, topic, queueTags = {}, services } = config;
  const { instance } = await identify(config, signal);
  const about = { env, topic, instance, queueTags, services: Object.keys(services) };
  return await probeOwnQueue(aws, { ...about, userId: await callerUserId(aws, signal) }, signal);
}

/** The desired state, verified, beside what is current here. */
async function drift(
  config: AgentConfig,
  aws: Aws,
  { name, pkg }: { name: string; pkg: Pick<PackageType, 'current'> },
  signal: AbortSignal,
): Promise<Finding[]> {
  const store = createDesiredStore({ aws, bucket: config.bucket, env: config.env });
  const found = await store.read(name, undefined, signal);
  if (typeof found === 'string') return [{ ok: true, what: 'there is no desired state yet' }];
  const verifier = await loadVerifier(config);
  const wanted = await verifier.verify('td-desired+jws', found.text, desired);
  if (wanted.service !== name || wanted.env !== config.env) {
    return [
      {
        ok: false,
        what: 'the desired state is of another service or environment',
        hint: doctor(config, name),
      },
    ];
  }
  const runs = await pkg.current();
  if (runs === wanted.version) return [{ ok: true, what: `runs ${runs}, as desired` }];
  const what = `${runs === null ? 'nothing is installed' : `runs ${runs}`}, and ${wanted.version} is desired`;
  return [
    { ok: true, what, hint: 'trigger-deploy-agent status shows why; the agent converges while it runs' },
  ];
}

const doctor = ({ env }: AgentConfig, name: string) => `trigger-deploy doctor ${name} --env ${env}`;

/** The space of the disk on which `path` is, or will be. */
async function space(path: string): Promise<Finding[]> {
  try {
    const { bytes, inodes } = await freeSpace(path);
    const mib = Math.floor(bytes / 1024 ** 2);
    const what = `${mib} MiB are free for ${path}`;
    const isLittle = bytes < LITTLE_SPACE || inodes === 0;
    if (!isLittle) return [{ ok: true, what }];
    return [
      {
        ok: true,
        what,
        hint: `make space there, or lower keep: ${inodes === 0 ? 'no inode is free' : 'that is little'}`,
      },
    ];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function logProbes(config: AgentConfig, aws: Aws, name: string, { logs }: AgentServiceConfig): CheckProbe[] {
  if (!logs) return [];
  const place = { bucket: logs.bucket ?? config.bucket, env: config.env, service: name };
  return [
    { id: 'logs-upload', run: async (signal) => [await probeLogUpload(aws, place, signal)] },
    { id: 'logs-files', run: async () => await Promise.all(logs.files.map(({ dir }) => readable(dir))) },
  ];
}

async function readable(dir: string): Promise<Finding> {
  try {
    await access(dir, constants.R_OK | constants.X_OK);
    return { ok: true, what: `logs: ${dir} can be read` };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const hint =
      code === 'ENOENT'
        ? `create ${dir}, or correct logs.files`
        : `let the user of the agent read ${dir}: setfacl -m u:USER:rx ${dir}`;
    const what = `logs: ${dir} cannot be read (${code ?? messageOf(error)})`;
    return { ok: false, what, hint };
  }
}
