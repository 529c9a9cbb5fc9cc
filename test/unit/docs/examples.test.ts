import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { parseAgentConfig } from '../../../agent/config.ts';
import { configuration } from '../../../publisher/config/schema.ts';

/** The config examples of the pages are read by the programs' own schemas. */

const AGENT = {
  env: 'dev',
  region: 'eu-west-1',
  topic: 'arn:aws:sns:eu-west-1:123456789012:trigger-deploy-dev',
  bucket: 'acme-deploys-dev',
  trust: { keys: ['/etc/trigger-deploy/keys/ci.pub.json'] },
};
const SERVICE = {
  package: { type: 'jar', dir: '/opt/payments' },
  manager: { type: 'systemd', unit: 'payments.service' },
};
const agent = (config: object) => parseAgentConfig(stringify(config), 'agent.yaml');
const oneService = (part: string) => (value: unknown) =>
  agent({ ...AGENT, services: { payments: { ...SERVICE, [part]: value } } });

/** By the first line of a YAML block: what reads it. */
const READERS: Record<string, (value: unknown) => unknown> = {
  '# trigger-deploy.yaml': (value) => configuration.parse(value),
  '# trigger-deploy.yaml, the console': (console) => configuration.parse({ environments: {}, console }),
  '# trigger-deploy.yaml, with the console': (value) =>
    configuration.parse({ environments: {}, ...(value as object) }),
  '# trigger-deploy.yaml, the environments': (value) => configuration.parse({ environments: value }),
  '# trigger-deploy.yaml, the notify of one environment': (value) =>
    configuration.parse({ environments: { dev: { notify: value } } }),
  '# trigger-deploy.yaml, the services of one environment': (services) =>
    configuration.parse({ environments: { dev: { services } } }),
  '# agent.yaml': (value) => agent(value as object),
  '# agent.yaml, the services': (services) => agent({ ...AGENT, services }),
  '# agent.yaml, the metrics': (metrics) => agent({ ...AGENT, metrics, services: { payments: SERVICE } }),
  '# agent.yaml, the lifecycle': (text) =>
    agent({ ...AGENT, ...(text as object), services: { payments: SERVICE } }),
  '# agent.yaml, the package of one service': oneService('package'),
  '# agent.yaml, the manager of one service': oneService('manager'),
  '# agent.yaml, the logs of one service': (text) => oneService('logs')((text as { logs: unknown }).logs),
  '# agent.yaml, the traffic of one service': oneService('traffic'),
};

const pages = execFileSync('git', ['ls-files', '*.md'], { encoding: 'utf8' }).trim().split('\n');
const blocksOf = (language: string) =>
  pages.flatMap((path) =>
    [
      ...readFileSync(path, 'utf8').matchAll(
        new RegExp(`^( *)\`\`\`${language}\\n([\\s\\S]*?)^ *\`\`\`$`, 'gm'),
      ),
    ].map(([, indent = '', text = '']) => ({
      path,
      text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
    })),
  );

const yamlBlocks = blocksOf('yaml').map(({ path, text }) => ({
  path,
  text,
  first: text.split('\n')[0] ?? '',
}));

test('there are examples of both configs', () => {
  const firsts = yamlBlocks.map(({ first }) => first);
  expect(firsts).toContain('# trigger-deploy.yaml');
  expect(firsts).toContain('# agent.yaml');
});

test.each(yamlBlocks)('$path: $first is read by the program', ({ text, first }) => {
  expect(Object.keys(READERS)).toContain(first);
  expect(() => READERS[first]?.(parse(text))).not.toThrow();
});

test.each(blocksOf('json'))('a JSON block of $path is JSON', ({ text }) => {
  expect(() => JSON.parse(text)).not.toThrow();
});

test('every key of trigger-deploy.yaml is in the config reference', () => {
  const [, rest = ''] = readFileSync('docs/OPERATIONS.md', 'utf8').split('\n### trigger-deploy.yaml\n');
  const [reference = ''] = rest.split('\n### ');
  const keys = [configuration, configuration.shape.environments.valueType].flatMap(({ shape }) =>
    Object.keys(shape),
  );
  expect(keys.filter((key) => !new RegExp(`\`[^\`]*\\b${key}\\b`).test(reference))).toEqual([]);
});

test('every variable of hooks and checks is in the table of OPERATIONS, and no other', () => {
  const source = readFileSync('agent/deploy/command-environment.ts', 'utf8');
  const set = [...source.matchAll(/'(TRIGGER_DEPLOY_\w+)'/g)].map(([, name]) => name);
  const [, rest = ''] = readFileSync('docs/OPERATIONS.md', 'utf8').split(
    '\n### Environment of hooks and checks\n',
  );
  const table = [...(rest.split('\n### ')[0] ?? '').matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name);
  expect(table.toSorted()).toEqual(set.toSorted());
});
