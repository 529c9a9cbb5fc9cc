import { asTriggerDeployError } from '../../shared/errors.ts';
import type { Finding } from '../deploy/ports.ts';
import type { CheckDeps, CheckedService, CheckProbe } from './deps.ts';

/** A finding with its name, and the service that it is about. */
export interface CheckFinding extends Finding {
  id: string;
  service?: string | undefined;
}

/** `trigger-deploy-agent check`: finds the problems that would make a deployment fail, each with a hint. */

/** The deadline of each probe, ms. One that AWS does not answer leaves the whole time to the next. */
const WITHIN = 30_000;
const limit = () => AbortSignal.timeout(WITHIN);

/** Returns all findings, in the order in which a person would solve the problems. */
export async function check(deps: CheckDeps): Promise<CheckFinding[]> {
  const findings: CheckFinding[] = [
    ...(await collect({ id: 'keys', what: 'keys' }, async () => {
      const keys = await deps.trustedKeys();
      if (keys.length > 0) return keys.map((kid) => ({ ok: true, what: `key ${kid}` }));
      const what =
        'trust: none: signatures are not checked; anyone who can publish to the topic can deploy here';
      return [{ ok: true, what }];
    })),
    ...(await collect({ id: 'identity', what: 'identity' }, async () => {
      const { instance } = await deps.identify(limit());
      return [
        { ok: true, what: `instance ${instance}` },
        named('role-session', await deps.probeUserId(instance, limit())),
        ...(await deps.probeQueue(instance, limit())).map((one) => named('queue', one)),
      ];
    })),
    ...(await collect({ id: 'permission', what: 'bucket' }, () => deps.probeBucket(limit()))),
  ];
  for (const probe of deps.environment) findings.push(...(await run(probe)));
  for (const service of deps.services) {
    const { name, probeTraffic } = service;
    const about = (id: string) => ({ id, service: name, what: `service ${name}` });
    findings.push(...(await collect(about('package'), () => inspect(service))));
    const hint = 'correct `manager:` of this service in the config';
    findings.push(...(await collect(about('manager'), () => inspectHost(service), hint)));
    if (!service.namesVersion) findings.push({ ...unnamedVersion(name), id: 'checks', service: name });
    for (const probe of service.probes) findings.push(...(await run(probe, name)));
    if (!probeTraffic) continue;
    findings.push(
      ...(await collect({ ...about('traffic'), what: `traffic of ${name}` }, async () => {
        const { instance } = await deps.identify(limit());
        return await probeTraffic(instance, limit());
      })),
    );
  }
  return findings;
}

const named = (id: string, one: Finding): Finding => ({ id, ...one });

/** The findings of a probe; those of a service say so. */
async function run({ id, run: look }: CheckProbe, service?: string): Promise<CheckFinding[]> {
  const what = service === undefined ? id : `service ${service}: ${id}`;
  return await collect({ id, service, what }, async () => {
    const found = await look(limit());
    if (service === undefined) return found;
    return found.map((one) => ({ ...one, what: `service ${service}: ${one.what}` }));
  });
}

async function inspect({ name, dir, inspectDirectory, package: pkg }: CheckedService): Promise<Finding[]> {
  const problems = [...(await inspectDirectory()), ...(await pkg.inspect())];
  if (problems.length === 0) return [{ ok: true, what: `service ${name}: ${dir}` }];
  return problems.map((problem) => ({ ...problem, what: `service ${name}: ${problem.what}` }));
}

/** Such checks pass whatever version answers. */
function unnamedVersion(name: string): Finding {
  return {
    ok: true,
    what: `service ${name}: no health check has {version}: they pass whatever version runs`,
    hint: 'add `body: \'"version":"{version}"\'` to an http check, or {version} to the arguments of a command check',
  };
}

/**
 * Unit or commands, hooks, checks and users: the same test as before a deployment stops anything. Separate from
 * `inspect`: if the status cannot be read, the findings of `inspect` are still shown.
 */
async function inspectHost(service: CheckedService): Promise<Finding[]> {
  const found = await service.readiness.inspect(null, limit());
  const findings = found.map((one) => ({ ...one, what: `service ${service.name}: ${one.what}` }));
  // A status command that cannot be run has a finding already.
  if (findings.some(({ ok }) => !ok)) return findings;
  return [...findings, ...(await inspectStatus(service, limit()))];
}

async function inspectStatus(
  { name, manager, statusSource, package: pkg }: CheckedService,
  signal: AbortSignal,
): Promise<Finding[]> {
  const { summary, trouble } = await manager.status(signal);
  if (!trouble) return [{ ok: true, what: `service ${name}: ${statusSource}: ${summary}` }];
  if (pkg.installsUnit && summary === 'not-found') {
    return [
      {
        ok: true,
        what: `service ${name}: ${statusSource} is missing; the package of the service installs it`,
      },
    ];
  }
  return [{ ok: false, what: `service ${name}: ${trouble.problem}`, hint: trouble.hint }];
}

/** Runs `probe` and turns what it throws into a finding, so that the other probes still run. */
async function collect(
  { what, ...about }: { id: string; service?: string | undefined; what: string },
  probe: () => Promise<readonly Finding[]>,
  hint?: string,
): Promise<CheckFinding[]> {
  try {
    return (await probe()).map((one) => ({ ...about, ...one, id: one.id ?? about.id }));
  } catch (thrown) {
    const error = asTriggerDeployError(thrown);
    return [{ ...about, ok: false, what: `${what}: ${error.message}`, hint: error.hint ?? hint }];
  }
}

/** The findings as one JSON document. `state`: `ok`, `warning` (nothing is broken, but somebody should look) or `wrong`. */
export function findingsJson(findings: readonly CheckFinding[], config: string): string {
  const all = findings.map(({ id, service, ok, what, hint }) => {
    const state = !ok ? 'wrong' : hint === undefined ? 'ok' : 'warning';
    return { id, state, service, what, hint };
  });
  return JSON.stringify({ type: 'check', config, findings: all }, null, 2);
}

/** The findings as text, one per line; a hint is below its finding. `config` is the path of the config file. */
export function formatFindings(findings: readonly Finding[], config: string): string {
  const all = [{ ok: true, what: `config ${config}`, hint: undefined }, ...findings];
  const lines = all.flatMap(({ ok, what, hint }) => [
    `${!ok ? '✗' : hint === undefined ? '✓' : '!'} ${what}`,
    ...(hint === undefined ? [] : [`  → ${hint}`]),
  ]);
  const wrong = findings.filter((finding) => !finding.ok).length;
  const problems = wrong === 1 ? '1 problem' : `${wrong} problems`;
  const summary = wrong === 0 ? 'ready to run' : `${problems} to fix before this agent can deploy`;
  return [...lines, '', summary].join('\n');
}
