import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { awsNames, regionOfArn, topicOfArn } from '../shared/aws-names.ts';
import { duration, parseConfigFile, size } from '../shared/config-file.ts';
import { messageOf, TriggerDeployError } from '../shared/errors.ts';
import { envName, instanceId, serviceName, topicName, versionName } from '../shared/names.ts';
import { queueTags } from '../shared/queue-tags.ts';
import { sessionName } from '../shared/role-session.ts';
import {
  absolutePath,
  argv,
  environment,
  groupName,
  linkPlace,
  onOff,
  port,
  positive,
  serviceUnit,
  tags,
  userName,
} from './config-fields.ts';
import { lifecycle } from './config-lifecycle.ts';
import { logs, logsMistake } from './config-logs.ts';
import { metricsConfig } from './config-metrics.ts';
import type { Hook } from './deploy/ports.ts';
import { CHECK_TYPES, type ConfiguredCheck } from './host/services/check-types.ts';

/**
 * Reads agent.yaml and returns a typed config. An unknown key is an error: otherwise a misspelt `watch` would be
 * ignored. In the result, durations are in ms and defaults are filled in. No other code checks the config again.
 */

/** The settings of every health check. */
const timing = {
  successes: z.int().min(1).max(100).default(1),
  deadline: positive.default(60_000),
  timeout: positive.default(2000),
};
const checkFields = Object.entries(CHECK_TYPES).map(
  ([kind, { fields }]) => [kind, z.strictObject({ ...fields, ...timing }).optional()] as const,
);
const check = z.strictObject(Object.fromEntries(checkFields)).transform((kinds, context): ConfiguredCheck => {
  const given = Object.entries(kinds).filter(([, value]) => value !== undefined);
  const [only] = given;
  if (!only || given.length > 1) {
    const known = Object.keys(CHECK_TYPES).join(', ');
    context.addIssue({ code: 'custom', message: `expected exactly one of ${known}` });
    return z.NEVER;
  }
  const [kind, fields] = only;
  return { kind, ...(fields as object) } as ConfiguredCheck;
});

const hook = z
  .strictObject({ run: argv, timeout: positive.default(30_000), user: userName.optional(), environment })
  .transform((value): Hook => value);

const adopt = z.strictObject({ path: absolutePath, version: versionName });
const directoryPackage = {
  dir: absolutePath.refine((path) => path !== '/', { error: 'expected a directory of its own, not /' }),
  /** At least 3: a JVM whose jar is deleted fails only later, when it loads a class. */
  keep: z.int().min(3).max(100).default(3),
  adopt: adopt.optional(),
  /** The group that may read the config files of releases. */
  group: groupName.optional(),
  acceptNoUndo: z.boolean().default(false),
};
/** A deployment of the service may install no other packages. Debian Policy 5.6.1 defines the pattern. */
const debName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9+.-]{1,127}$/, 'expected the name of a Debian package, such as edge-proxy');
const packageConfig = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('jar'), ...directoryPackage }),
  z.strictObject({
    type: z.literal('archive'),
    ...directoryPackage,
    /** Links of the archive may lead to these places outside the release, and below. */
    allowLinks: z.array(linkPlace).max(64).default([]),
  }),
  z.strictObject({
    type: z.literal('deb'),
    /** The package whose version is the version of the service. */
    name: debName,
    /** Packages that are pushed, installed and rolled back with it, such as redis-tools with redis-server. */
    companions: z.array(debName).max(15).default([]),
    /** The directory of the .debs; by default below the state directory. */
    dir: directoryPackage.dir.optional(),
    keep: directoryPackage.keep,
    fetchDependencies: z.boolean().default(false),
    acceptNoUndo: z.boolean().default(false),
    /** The timeout of one run of dpkg, with its maintainer scripts. */
    installTimeout: positive.default(600_000),
    /** How long to wait for the dpkg lock of another program. */
    lockTimeout: positive.default(300_000),
  }),
]);

const managerBounds = { stopTimeout: positive.default(30_000), startTimeout: positive.default(60_000) };
const manager = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('systemd'), unit: serviceUnit, ...managerBounds }),
  z.strictObject({
    type: z.literal('command'),
    start: argv,
    stop: argv,
    restart: argv.optional(),
    status: argv,
    pidFile: absolutePath.optional(),
    log: absolutePath.optional(),
    user: userName.optional(),
    environment,
    ...managerBounds,
  }),
]);

const traffic = z.strictObject({
  targetGroups: z
    .array(
      z.strictObject({
        arn: awsNames.targetGroup,
        /** Needed only if the instance is registered with another port than the default port of the group. */
        port: port.optional(),
      }),
    )
    .min(1)
    .max(16),
  /** Must exceed the deregistration delay of the groups, which is 300 s by default. */
  drainTimeout: positive.default(360_000),
  healthyTimeout: positive.default(300_000),
});

const service = z.strictObject({
  package: packageConfig,
  manager,
  checks: z.array(check).max(16).default([]),
  watch: z
    .union([z.literal(0), duration], { error: 'expected a duration such as 500ms, 30s, 10m or 1h, or 0' })
    .default(10_000),
  hooks: z
    .strictObject({
      beforeStop: z.array(hook).max(16).default([]),
      afterStart: z.array(hook).max(16).default([]),
      onTerminate: z.array(hook).max(16).default([]),
    })
    .default({ beforeStop: [], afterStart: [], onTerminate: [] }),
  traffic: traffic.optional(),
  reportLog: onOff.default(true),
  logs,
});

/** Fills in the directory of the package, which is optional for a deb. */
function withDirectory(name: string, one: z.infer<typeof service>, state: string) {
  const { package: pkg } = one;
  return { ...one, package: { ...pkg, dir: pkg.dir ?? join(state, 'debs', name) } };
}

const agentConfig = z
  .strictObject({
    env: envName,
    region: awsNames.region,
    topic: awsNames.topic,
    bucket: awsNames.bucket,
    pathStyle: z.boolean().default(false),
    trust: z.union(
      [
        z.literal('none'),
        z.strictObject({
          keys: z
            .array(absolutePath)
            .min(1, 'no key: add the public key of your publisher, or set `trust: none`'),
        }),
      ],
      { error: 'expected `keys: [/path/of/a/public/key]`, or `none`' },
    ),
    instance: instanceId.optional(),
    /** The role session of this instance, where it is not the instance id: outside of EC2, and with other roles. */
    session: sessionName.optional(),
    /** Tags of the instance, for `--where stack=pr-1234`; they override the tags in its metadata. */
    tags: tags.default({}),
    /** Tags of the queue of this instance, for cost allocation. */
    queueTags: queueTags.default({}),
    state: absolutePath.default('/var/lib/trigger-deploy'),
    logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info'),
    /** `auto` means text if stdout goes to journald, otherwise JSON lines. */
    logFormat: z.enum(['auto', 'text', 'json']).default('auto'),
    metrics: metricsConfig.optional(),
    /** What is announced about the life of the instance is watched, and acted on. */
    lifecycle: lifecycle.optional(),
    /** The bandwidth of the uploads of logs, of all services together, bytes per second. */
    logBandwidth: size.default(1024 ** 2),
    services: z.record(serviceName, service).refine((all) => Object.keys(all).length > 0, {
      error: 'no services: add at least one',
    }),
  })
  .transform((config) => ({
    ...config,
    services: Object.fromEntries(
      Object.entries(config.services).map(([name, one]) => [name, withDirectory(name, one, config.state)]),
    ),
  }))
  .superRefine((config, context) => {
    const wrongTopic = topicMistake(config);
    if (wrongTopic !== undefined) context.addIssue({ code: 'custom', path: ['topic'], message: wrongTopic });
    const owners = new Map<string, string>();
    const claim = (thing: string, name: string, path: string[]) => {
      const owner = owners.get(thing);
      owners.set(thing, name);
      if (owner === undefined) return;
      const message = `${thing} is already used by service ${owner}`;
      context.addIssue({ code: 'custom', path: ['services', name, ...path], message });
    };
    for (const [name, { package: pkg, manager: run, traffic, hooks, logs }] of Object.entries(
      config.services,
    )) {
      if (hooks.onTerminate.length > 0 && !config.lifecycle) {
        const message = 'nothing announces the end of the instance; add `lifecycle: {}`';
        context.addIssue({ code: 'custom', path: ['services', name, 'hooks', 'onTerminate'], message });
      }
      const wrongLogs = logs && logsMistake(logs, run.type);
      if (wrongLogs !== undefined)
        context.addIssue({ code: 'custom', path: ['services', name, 'logs'], message: wrongLogs });
      for (const [i, { arn }] of (traffic?.targetGroups ?? []).entries()) {
        if (regionOfArn(arn) === config.region) continue;
        const path = ['services', name, 'traffic', 'targetGroups', i, 'arn'];
        const message = `the target group is in ${regionOfArn(arn)}, but region is ${config.region}`;
        context.addIssue({ code: 'custom', path, message });
      }
      claim(pkg.dir, name, ['package', 'dir']);
      if (pkg.type === 'deb') {
        claim(`package ${pkg.name}`, name, ['package', 'name']);
        for (const [i, one] of pkg.companions.entries()) {
          claim(`package ${one}`, name, ['package', 'companions', String(i)]);
        }
      }
      if (run.type === 'systemd') claim(run.unit, name, ['manager', 'unit']);
      const isOwn = [
        pkg.type === 'deb' && [pkg.name, ...pkg.companions].includes(OWN_PACKAGE),
        run.type === 'systemd' && run.unit === OWN_UNIT,
      ];
      if (isOwn[0] !== isOwn[1]) {
        context.addIssue({
          code: 'custom',
          path: ['services', name],
          message: `to deploy the agent itself, set both the deb ${OWN_PACKAGE} and the unit ${OWN_UNIT}`,
        });
      }
      if (isOwn[0] && traffic) {
        const message = 'the agent itself serves no traffic; remove `traffic`';
        context.addIssue({ code: 'custom', path: ['services', name, 'traffic'], message });
      }
    }
  });

/** Why the agent would hear nothing from a publisher: publishers announce to the topic of this name and region only. */
function topicMistake({ env, region, topic }: { env: string; region: string; topic: string }) {
  if (regionOfArn(topic) !== region) return `the topic is in ${regionOfArn(topic)}, but region is ${region}`;
  const wanted = topicName(env);
  const is = topicOfArn(topic);
  return is === wanted ? undefined : `expected the topic ${wanted}, as env is ${env}, found ${is}`;
}

/** The package and the unit of the agent itself. */
const OWN_PACKAGE = 'trigger-deploy-agent';
const OWN_UNIT = 'trigger-deploy-agent.service';

/** The package and the unit of the service, if the service is the agent itself; otherwise undefined. */
export function agentItself({ package: pkg, manager }: AgentServiceConfig) {
  // The schema refuses the agent's package with another unit, and the agent's unit with another package.
  if (pkg.type !== 'deb' || pkg.name !== OWN_PACKAGE || manager.type !== 'systemd') return undefined;
  return { package: pkg, manager };
}

export type AgentConfig = z.infer<typeof agentConfig>;
export type AgentServiceConfig = AgentConfig['services'][string];
export type PackageConfig = AgentServiceConfig['package'];

/** @throws CONFIG_INVALID if the file cannot be read or has mistakes. One error names all mistakes. */
export async function loadAgentConfig(path: string): Promise<AgentConfig> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new TriggerDeployError('CONFIG_INVALID', `cannot read ${path}: ${messageOf(cause)}`, {
      cause,
      hint: 'pass the path with --config, or create the file from agent.example.yaml',
    });
  }
  return parseAgentConfig(text, path);
}

export function parseAgentConfig(text: string, file: string): AgentConfig {
  return parseConfigFile(text, file, agentConfig as z.ZodType<AgentConfig>);
}
