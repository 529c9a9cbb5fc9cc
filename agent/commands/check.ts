import { asTriggerDeployError } from '../../shared/errors.ts';
import type { Wiring } from './wiring.ts';

/** `trigger-deploy-agent check`: everything that would go wrong later, found now, each with what to do. */

export interface Finding {
  ok: boolean;
  /** What was looked at, and what is wrong with it if anything is. */
  what: string;
  hint?: string | undefined;
}

/** ms */
const WITHIN = 30_000;

/** Every finding, in the order in which a person would mend them. */
export async function check(wiring: Wiring): Promise<Finding[]> {
  const { config } = wiring;
  const signal = AbortSignal.timeout(WITHIN);
  const findings = [
    ...(await look('keys', async () => {
      const keys = await wiring.keys();
      if (keys.length === 0) {
        return [{ ok: true, what: 'trust: none — whoever may publish to the topic deploys here' }];
      }
      return keys.map((kid) => ({ ok: true, what: `key ${kid}` }));
    })),
    ...(await look('identity', async () => {
      const { instance } = await wiring.identify(signal);
      return [{ ok: true, what: `instance ${instance}` }, ...(await wiring.queueOf(instance).probe(signal))];
    })),
    ...(await look('bucket', () => wiring.probeBucket(signal))),
  ];
  for (const [name, { traffic }] of Object.entries(config.services)) {
    findings.push(...(await look(`service ${name}`, () => inspectService(wiring, name, signal))));
    if (!traffic) continue;
    findings.push(
      ...(await look(`traffic of ${name}`, async () => {
        const { instance } = await wiring.identify(signal);
        return await wiring.probeTraffic(name, instance, signal);
      })),
    );
  }
  return findings;
}

async function inspectService(wiring: Wiring, name: string, signal: AbortSignal): Promise<Finding[]> {
  const service = wiring.config.services[name];
  if (!service) throw new Error(`${name} is not in the config`);
  const problems = await wiring.inspect(name);
  const paths = problems.map(({ problem, hint }) => ({
    ok: false,
    what: `service ${name}: ${problem}`,
    hint,
  }));
  const { summary } = await wiring.managerOf(name).status(signal);
  const unit = service.manager.type === 'systemd' ? `unit ${service.manager.unit}` : 'status command';
  return [
    ...(paths.length > 0 ? paths : [{ ok: true, what: `service ${name}: ${service.package.dir}` }]),
    unitFinding(`service ${name}: ${unit}`, summary, service.package.type),
  ];
}

function unitFinding(unit: string, summary: string, packageType: string): Finding {
  if (!summary.includes('not-found')) return { ok: true, what: `${unit}: ${summary}` };
  if (packageType === 'deb') return { ok: true, what: `${unit} comes with its package` };
  return {
    ok: false,
    what: `${unit} does not exist`,
    hint: 'install the unit, then systemctl daemon-reload',
  };
}

/** Does `probe` and turns what it throws into a finding: no probe keeps the others from being made. */
async function look(what: string, probe: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  try {
    return await probe();
  } catch (thrown) {
    const error = asTriggerDeployError(thrown);
    return [{ ok: false, what: `${what}: ${error.message}`, hint: error.hint }];
  }
}

/** One line a finding, and a line with what to do below each that is wrong; `config` could be read. */
export function formatFindings(findings: readonly Finding[], config: string): string {
  const all = [{ ok: true, what: `config ${config}`, hint: undefined }, ...findings];
  const lines = all.flatMap(({ ok, what, hint }) => [
    `${ok ? '✓' : '✗'} ${what}`,
    ...(ok || hint === undefined ? [] : [`  → ${hint}`]),
  ]);
  const wrong = findings.filter((finding) => !finding.ok).length;
  const summary = wrong === 0 ? 'ready to run' : `${wrong} to mend before this agent can deploy`;
  return [...lines, '', summary].join('\n');
}
