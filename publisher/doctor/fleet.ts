import type { Desired } from '../../shared/desired.ts';
import type { InstanceRecord } from '../../shared/report.ts';
import { isEnding } from '../../shared/states.ts';
import { type DoctorFinding, named } from './finding.ts';

/** What the instances of a service say: who answers, which agents are old, who runs another version. Pure. */

/** The instances that do not answer. */
export function examineAnswers(
  known: readonly InstanceRecord[],
  fleet: readonly InstanceRecord[],
): DoctorFinding[] {
  const silent = known.filter(({ instance }) => fleet.every((one) => one.instance !== instance));
  if (silent.length === 0) {
    return [{ id: 'answers', state: 'ok', what: `${fleet.length} of ${known.length} instances answer` }];
  }
  const since = new Map(silent.map(({ instance, at }) => [instance, at]));
  return named(
    'answers',
    [...since.keys()],
    (instance) => ({
      what: `${instance} does not answer; its last record is of ${since.get(instance)}`,
      hint: 'see whether it runs, and its agent: systemctl status trigger-deploy-agent',
    }),
    (count) => ({
      what: `${count} more instances do not answer`,
      hint: 'trigger-deploy status SERVICE names them; trigger-deploy gc removes what is left of those that are gone',
    }),
  );
}

/** The instances that do not run the desired version, although nothing is under way there. */
export function examineDrift(
  env: string,
  desired: Desired | undefined,
  instances: readonly InstanceRecord[],
): DoctorFinding[] {
  if (desired === undefined) return [];
  const drifting = instances.filter(
    ({ version, state, notice }) =>
      version !== desired.version && (state === undefined || isEnding(state)) && !notice?.terminating,
  );
  if (drifting.length === 0)
    return [{ id: 'drift', state: 'ok', what: `no instance runs another version than ${desired.version}` }];
  const byName = new Map(drifting.map((one) => [one.instance, one]));
  return named(
    'drift',
    [...byName.keys()],
    (name) => {
      const { version, pinned, failure } = byName.get(name) as InstanceRecord;
      const runs = version === null ? 'runs nothing' : `runs ${version}`;
      const why = pinned ? ', by a local order (pinned)' : failure ? ` after ${failure.code}` : '';
      return {
        what: `${name} ${runs}, not ${desired.version}${why}`,
        hint: `trigger-deploy ${desired.service} ${desired.version} --env ${env} --only ${name}`,
      };
    },
    (count) => ({
      what: `${count} more instances do not run ${desired.version}`,
      hint: `trigger-deploy ${desired.service} ${desired.version} --env ${env}`,
    }),
  );
}

/** The agents that are older than the newest of the environment. */
export function examineAgents(instances: readonly InstanceRecord[]): DoctorFinding[] {
  const versions = new Map(instances.map(({ instance, agentVersion }) => [instance, agentVersion]));
  const newest = [...versions.values()].sort(byVersion).at(-1);
  const old = [...versions].filter(([, version]) => version !== newest).map(([instance]) => instance);
  if (newest === undefined) return [];
  if (old.length === 0)
    return [{ id: 'agent-version', state: 'ok', what: `all agents are of version ${newest}` }];
  return named(
    'agent-version',
    old,
    (instance) => ({
      what: `the agent of ${instance} is of version ${versions.get(instance)}, and others are of ${newest}`,
      hint: 'deploy the agent as a service (docs/OPERATIONS.md, "Updating the agent"), or install its package there',
    }),
    (count) => ({
      what: `${count} more agents are older than ${newest}`,
      hint: 'deploy the agent as a service',
    }),
  );
}

/** `0.9.1` before `0.10.0`; what is no number is compared as text. */
function byVersion(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}
