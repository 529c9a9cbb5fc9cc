/**
 * The rooms and what each may import. A key is a room: a folder, or a file at the top of a program. The value lists the
 * rooms that it may import besides itself and shared; type imports count. `room#types` allows type imports only.
 *
 * The rooms in this list cannot import a room that is not in it. docs/ARCHITECTURE.md gives the reasons.
 */
const ROOMS = {
  // shared imports neither program.
  shared: [],

  // publisher: from the command line down to the lower rooms.
  'publisher/main.ts': ['publisher/cli', 'publisher/config', 'publisher/events.ts'],
  'publisher/cli': [
    'publisher/commands',
    'publisher/config',
    'publisher/console',
    'publisher/notify',
    'publisher/plan',
    'publisher/render',
    'publisher/connection.ts',
    'publisher/events.ts',
    'publisher/session.ts',
  ],
  // The server of the console. The command line is given to it (ports.ts), because cli imports this room.
  'publisher/console': [
    'publisher/config',
    'publisher/fleet',
    'publisher/messaging',
    'publisher/plan',
    'publisher/queue',
    'publisher/record',
    'publisher/render/address.ts',
    'publisher/rollout',
    'publisher/session.ts',
    'publisher/events.ts',
  ],
  // Runs in a browser.
  'publisher/page': [
    'publisher/console/api.ts#types',
    'publisher/console/permissions.ts',
    'publisher/render/deployment-view.ts',
    'publisher/render/badges.ts',
    'publisher/render/words.ts',
    'publisher/render/address.ts',
    'publisher/record#types',
    'publisher/events.ts#types',
  ],
  'publisher/commands': [
    'publisher/render/address.ts',
    'publisher/config',
    'publisher/kms',
    'publisher/record',
    'publisher/queue',
    'publisher/plan',
    'publisher/rollout',
    'publisher/fleet',
    'publisher/cleanup',
    'publisher/messaging',
    'publisher/packages',
    'publisher/setup',
    'publisher/doctor',
    'publisher/session.ts',
    'publisher/events.ts',
  ],
  'publisher/doctor': [
    'publisher/setup',
    'publisher/rollout',
    'publisher/record',
    'publisher/queue',
    'publisher/checks',
    'publisher/cleanup',
    'publisher/fleet',
    'publisher/session.ts',
    'publisher/events.ts',
  ],
  'publisher/rollout': [
    // The address of a deployment's page: pure, and the page has the same.
    'publisher/render/address.ts',
    'publisher/fleet',
    'publisher/checks',
    'publisher/plan',
    'publisher/record',
    'publisher/messaging',
    'publisher/queue#types',
    'publisher/queue/refusals.ts',
    'publisher/queue/queue-store.ts',
    'publisher/session.ts',
    'publisher/events.ts',
    'publisher/config#types',
  ],
  'publisher/cleanup': [
    'publisher/fleet',
    'publisher/plan',
    'publisher/record',
    'publisher/messaging',
    'publisher/session.ts',
    'publisher/events.ts',
  ],
  'publisher/fleet': [
    'publisher/plan',
    'publisher/record',
    'publisher/messaging',
    'publisher/session.ts',
    'publisher/events.ts',
  ],
  'publisher/checks': ['publisher/record#types'],
  'publisher/queue': ['publisher/record', 'publisher/session.ts', 'publisher/events.ts'],
  'publisher/messaging': ['publisher/session.ts', 'publisher/events.ts'],
  'publisher/packages': ['publisher/record', 'publisher/session.ts', 'publisher/events.ts'],
  'publisher/notify': [
    'publisher/config',
    'publisher/events.ts',
    'publisher/session.ts#types',
    'publisher/render/text.ts',
  ],
  'publisher/render': [
    'publisher/commands#types',
    'publisher/cleanup#types',
    'publisher/record#types',
    'publisher/rollout#types',
    'publisher/config#types',
    'publisher/setup#types',
    'publisher/doctor#types',
    'publisher/events.ts#types',
  ],
  'publisher/session.ts': [
    'publisher/config#types',
    'publisher/connection.ts',
    'publisher/record',
    'publisher/events.ts',
  ],
  'publisher/connection.ts': ['publisher/config#types', 'publisher/kms'],
  'publisher/kms': [],
  'publisher/plan': ['publisher/record#types', 'publisher/config#types'],
  'publisher/config': ['publisher/plan', 'publisher/console/permissions.ts'],
  'publisher/record': [],
  'publisher/setup': [],
  'publisher/events.ts': ['publisher/record#types'],

  // agent: ports and adapters. Only the files wire-* join them.
  'agent/main.ts': ['agent/cli.ts', 'agent/options.ts', 'agent/wire-agent.ts', 'agent/wire-commands.ts'],
  'agent/wire-agent.ts': [
    'agent/loop',
    'agent/deploy',
    'agent/host',
    'agent/aws',
    'agent/config.ts',
    'agent/wire-instance.ts',
    'agent/wire-logs.ts',
    'agent/wire-service.ts',
    'agent/wire-self-update.ts',
    'agent/wire-metrics.ts',
    'agent/wire-life.ts',
  ],
  'agent/wire-metrics.ts': [
    'agent/metrics',
    'agent/config-metrics.ts#types',
    'agent/deploy#types',
    'agent/loop#types',
  ],
  'agent/wire-life.ts': [
    'agent/life',
    'agent/loop#types',
    'agent/deploy',
    'agent/host',
    'agent/aws',
    'agent/config.ts',
  ],
  'agent/wire-logs.ts': ['agent/host', 'agent/aws', 'agent/config.ts'],
  'agent/wire-check.ts': [
    'agent/commands',
    'agent/deploy',
    'agent/host',
    'agent/aws',
    'agent/config.ts',
    'agent/wire-instance.ts',
  ],
  'agent/wire-commands.ts': [
    'agent/wire-check.ts',
    'agent/commands',
    'agent/life',
    'agent/deploy',
    'agent/host',
    'agent/aws',
    'agent/config.ts',
    'agent/options.ts',
    'agent/wire-instance.ts',
    'agent/wire-service.ts',
  ],
  // The loop (wire-agent.ts) and the commands (wire-commands.ts) both need wire-instance.ts and wire-service.ts.
  'agent/wire-instance.ts': ['agent/aws', 'agent/deploy/ports.ts', 'agent/config.ts'],
  'agent/wire-service.ts': [
    'agent/deploy',
    'agent/host',
    'agent/aws',
    'agent/config.ts',
    'agent/wire-instance.ts',
  ],
  'agent/wire-self-update.ts': [
    'agent/host',
    'agent/loop#types',
    'agent/config.ts',
    'agent/wire-instance.ts',
  ],
  'agent/cli.ts': ['agent/options.ts'],
  'agent/options.ts': [],
  // A type of health check owns its keys in the config, so config.ts reads the table of the types.
  'agent/config.ts': [
    'agent/config-fields.ts',
    'agent/config-logs.ts',
    'agent/config-metrics.ts',
    'agent/config-lifecycle.ts',
    'agent/deploy/ports.ts#types',
    'agent/host/services/check-types.ts',
  ],
  'agent/config-logs.ts': ['agent/config-fields.ts'],
  'agent/config-metrics.ts': [],
  'agent/config-fields.ts': [],
  'agent/config-lifecycle.ts': ['agent/config-fields.ts'],
  'agent/loop': ['agent/deploy'],
  // The life of an instance watches as the loops do, and asks of the services what ends or begins them.
  'agent/life': ['agent/deploy', 'agent/loop'],
  'agent/commands': ['agent/deploy', 'agent/config.ts'],
  'agent/deploy': [],
  'agent/metrics': ['agent/deploy/state.ts', 'agent/deploy/ports.ts#types', 'agent/loop/ports.ts#types'],
  'agent/aws': ['agent/deploy/ports.ts', 'agent/deploy/log-port.ts', 'agent/deploy/traffic-port.ts'],
  'agent/host/fs': ['agent/deploy/ports.ts'],
  'agent/host/process': ['agent/host/fs', 'agent/deploy/ports.ts'],
  'agent/host/releases': [
    'agent/host/fs',
    'agent/host/process',
    'agent/deploy/ports.ts',
    'agent/deploy/look-port.ts',
  ],
  'agent/host/services': [
    'agent/host/fs',
    'agent/host/process',
    'agent/deploy/ports.ts',
    'agent/deploy/look-port.ts',
    'agent/deploy/service-port.ts',
    'agent/config-fields.ts',
  ],
  'agent/host/logs': [
    'agent/host/fs',
    'agent/host/process',
    'agent/host/state#types',
    'agent/deploy/ports.ts',
    'agent/deploy/log-port.ts',
  ],
  'agent/host/state': ['agent/host/fs', 'agent/host/process', 'agent/deploy/ports.ts'],
  'agent/host/system': ['agent/host/fs', 'agent/host/process', 'agent/deploy/ports.ts'],
  'agent/host/self-update': [
    'agent/host/fs',
    'agent/host/process',
    'agent/deploy/ports.ts',
    'agent/deploy/service-port.ts',
  ],
};

/**
 * A folder of agent/host that is not in ROOMS is a package type, such as deb. A package type may import the releases,
 * but no other package type.
 */
const HOST_ROOMS = Object.keys(ROOMS)
  .filter((room) => room.startsWith('agent/host/'))
  .map((room) => room.slice('agent/host/'.length));
const PACKAGE_TYPES = {
  name: 'a package type imports host/fs, host/process, host/releases and the ports only',
  severity: 'error',
  from: { path: `^agent/host/(?!(?:${HOST_ROOMS.join('|')})/)([^/]+)/` },
  to: {
    path: '^(agent|publisher|systemd|test)/',
    pathNot: ['^agent/host/($1|fs|process|releases)/', '^agent/deploy/(ports|look-port)\\.ts$'],
  },
};

/** Libraries for adapters. agent/deploy must not import them. */
const ADAPTERS_ONLY = '^(@aws-sdk/|@smithy/|execa$|(node:)?fs|(node:)?child_process)';

const path = (room) => `^${room.replaceAll('.', '\\.')}${room.endsWith('.ts') ? '$' : '/'}`;

function rulesOf([room, allowed]) {
  const types = allowed.filter((one) => one.endsWith('#types')).map((one) => one.slice(0, -'#types'.length));
  const values = allowed.filter((one) => !one.endsWith('#types'));
  const self = room === 'shared' ? [] : [room, 'shared'];
  const reachable = ['package.json', room, ...self, ...values].map(path);
  const from = { path: path(room) };
  const program = { path: '^(agent|publisher|shared|systemd|test)/' };
  return [
    {
      name: `${room} imports its rooms only`,
      severity: 'error',
      from,
      to: { ...program, pathNot: [...reachable, ...types.map(path)] },
    },
    ...types.map((target) => ({
      name: `${room} takes types only from ${target}`,
      severity: 'error',
      from,
      to: { path: path(target), pathNot: reachable, dependencyTypesNot: ['type-only'] },
    })),
  ];
}

export default {
  forbidden: [
    { name: 'no circle of any kind', severity: 'error', from: {}, to: { circular: true } },
    { name: 'nothing imports test/', severity: 'error', from: { pathNot: '^test/' }, to: { path: '^test/' } },
    {
      name: 'a verb imports no verb',
      severity: 'error',
      from: { path: '^publisher/commands/(?!guards)' },
      to: { path: '^publisher/commands/(?!guards)' },
    },
    {
      name: 'agent/deploy knows ports only',
      severity: 'error',
      from: { path: '^agent/deploy/' },
      to: { path: ADAPTERS_ONLY },
    },
    {
      name: 'the page runs in a browser',
      severity: 'error',
      from: { path: '^publisher/page/' },
      to: { dependencyTypes: ['core'] },
    },
    PACKAGE_TYPES,
    ...Object.entries(ROOMS).flatMap(rulesOf),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^dist/' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    detectProcessBuiltinModuleCalls: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
      extensions: ['.ts', '.tsx', '.mjs', '.js', '.json'],
    },
  },
};
