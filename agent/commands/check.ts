import { asTriggerDeployError } from '../../shared/errors.ts';
import type { Wiring } from './deps.ts';

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
    findings.push(...(await look(`service ${name}`, () => inspectService(wiring, name))));
    const asked = () => inspectStatus(wiring, name, signal);
    const hint = 'it is asked by `manager:` of the service: correct that in the config';
    findings.push(...(await look(`service ${name}`, asked, hint)));
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

async function inspectService(wiring: Wiring, name: string): Promise<Finding[]> {
  const problems = await wiring.inspect(name);
  if (problems.length === 0) {
    return [{ ok: true, what: `service ${name}: ${wiring.config.services[name]?.package.dir}` }];
  }
  return problems.map(({ problem, hint }) => ({ ok: false, what: `service ${name}: ${problem}`, hint }));
}

/** Apart from what its place is like: a status that cannot be had must not hide that. */
async function inspectStatus(wiring: Wiring, name: string, signal: AbortSignal): Promise<Finding[]> {
  const service = wiring.config.services[name];
  const { summary, trouble } = await wiring.managerOf(name).status(signal);
  const what = service?.manager.type === 'systemd' ? `unit ${service.manager.unit}` : 'status command';
  if (!trouble) return [{ ok: true, what: `service ${name}: ${what}: ${summary}` }];
  if (service?.package.type === 'deb' && summary === 'not-found') {
    return [{ ok: true, what: `service ${name}: ${what} comes with its package` }];
  }
  return [{ ok: false, what: `service ${name}: ${trouble.problem}`, hint: trouble.hint }];
}

/** Does `probe` and turns what it throws into a finding: no probe keeps the others from being made. */
async function look(
  what: string,
  probe: () => Promise<readonly Finding[]>,
  hint?: string,
): Promise<readonly Finding[]> {
  try {
    return await probe();
  } catch (thrown) {
    const error = asTriggerDeployError(thrown);
    return [{ ok: false, what: `${what}: ${error.message}`, hint: error.hint ?? hint }];
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
