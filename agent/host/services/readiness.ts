import { isCode, messageOf } from '../../../shared/errors.ts';
import type { Finding, Hook, Readiness } from '../../deploy/ports.ts';
import { type ConfiguredCommand, problemOf } from '../process/programs.ts';
import { findUser } from '../process/run-as.ts';
import { askSystemd } from '../process/systemctl.ts';
import type { ConfiguredCheck } from './check-types.ts';
import { substitute } from './checks/check-type.ts';
import { lookAtTriggers, triggerProblems } from './triggers.ts';
import { FACTS, parseFacts } from './unit-problems.ts';

/** What a deployment of a service needs on this instance: the one test of `check` and of the deployment itself. */

export interface ReadinessOptions {
  service: string;
  /** The unit of the service, or the commands of its manager. */
  manager: { unit: string } | { commands: readonly ConfiguredCommand[] };
  hooks: Readonly<Partial<Record<'beforeStop' | 'afterStart' | 'onTerminate', readonly Hook[]>>>;
  checks: readonly ConfiguredCheck[];
  /** Whether the package has the unit of the service. */
  installsUnit: boolean;
  /** `DIR/current`; in a release, the same files are at `release(version)`. Undefined if there is no such link. */
  current?: string | undefined;
  release(version: string): string;
  /** Whether the release has a file at this path of the host. Undefined for a type that places all files in `current`. */
  brings?: ((version: string | null, path: string) => Promise<boolean>) | undefined;
}

/** Paths that a unit may see where the agent does not, and the other way round. */
const PRIVATE = /^\/(?:home|root|run\/user|tmp|var\/tmp)\//;

export function createReadiness(options: ReadinessOptions): Readiness {
  const { service, manager, hooks, checks, installsUnit, current, release, brings } = options;

  /** Where `path` is once `version` is current. */
  const placed = (path: string, version: string | null) =>
    version !== null && current !== undefined && path.startsWith(`${current}/`)
      ? release(version) + path.slice(current.length)
      : path;

  async function inspectCommand(
    command: ConfiguredCommand,
    version: string | null,
    signal: AbortSignal,
  ): Promise<Finding[]> {
    const { program } = command;
    const problem = await problemOf(command, placed(program, version), signal);
    if (!problem) return [];
    return (await brings?.(version, program)) ? [] : [problem];
  }

  async function factsOf(unit: string, isOwn: boolean, signal: AbortSignal) {
    const argv = ['systemctl', 'show', unit, `--property=${FACTS.join(',')}`];
    const { exitCode, stdout, output } = await askSystemd(argv, { signal });
    // Without an answer nothing is known: then the deployment itself finds out.
    if (exitCode === 0) return parseFacts(unit, stdout, isOwn && installsUnit);
    const what = `systemd does not answer about ${unit}: ${output.trim().split('\n')[0] ?? ''}`;
    return { findings: [{ ok: true, what }], unloadable: [], user: undefined, programs: [], triggeredBy: [] };
  }

  async function inspectUnit(unit: string, version: string | null, signal: AbortSignal): Promise<Finding[]> {
    const { findings, user, programs, triggeredBy } = await factsOf(unit, true, signal);
    const triggers = await lookAtTriggers(triggeredBy, { signal }).catch((error: unknown) => {
      signal.throwIfAborted();
      // As above: without an answer nothing is known.
      if (isCode(error, 'COMMAND_FAILED')) return [];
      throw error;
    });
    findings.push(...triggerProblems(unit, triggers, installsUnit));
    if (user !== undefined) {
      await findUser(user, signal).catch((error: unknown) => {
        signal.throwIfAborted();
        const hint = `useradd --system ${user}, or correct User= in the unit`;
        findings.push({ ok: false, what: `${unit}: ${messageOf(error)}`, hint });
      });
    }
    // A unit is not confined as the agent is: only root sees what the unit sees.
    const visible = process.getuid?.() === 0 ? programs.filter((path) => !PRIVATE.test(path)) : [];
    for (const program of visible) {
      if (version === null && current !== undefined && program.startsWith(`${current}/`)) continue;
      findings.push(...(await inspectCommand({ what: `ExecStart= of ${unit}`, program }, version, signal)));
    }
    return findings;
  }

  async function inspectCheck(check: ConfiguredCheck, version: string | null, signal: AbortSignal) {
    if (check.kind === 'systemd') {
      const isOwn = 'unit' in manager && check.unit === manager.unit;
      if (isOwn) return [];
      if (installsUnit) return [];
      // A unit that is only looked at may be a oneshot or a transient one.
      return (await factsOf(check.unit, false, signal)).unloadable;
    }
    if (check.kind !== 'command') return [];
    const [word = ''] = check.run;
    if (version === null && word.includes('{version}')) return [];
    const program = substitute(word, { service, version: version ?? '' });
    return await inspectCommand({ what: `check ${word}`, program, user: check.user }, version, signal);
  }

  return {
    async inspect(version, signal) {
      const findings: Finding[] = [];
      if ('unit' in manager) findings.push(...(await inspectUnit(manager.unit, version, signal)));
      const commands = 'commands' in manager ? manager.commands : [];
      for (const command of commands) findings.push(...(await inspectCommand(command, version, signal)));
      for (const hook of hooks.beforeStop ?? []) {
        // It runs before the switch, so it is looked for in the release that is current now.
        findings.push(...(await inspectCommand(commandOf('beforeStop', hook), null, signal)));
      }
      for (const hook of hooks.afterStart ?? []) {
        findings.push(...(await inspectCommand(commandOf('afterStart', hook), version, signal)));
      }
      for (const hook of hooks.onTerminate ?? []) {
        findings.push(...(await inspectCommand(commandOf('onTerminate', hook), version, signal)));
      }
      for (const check of checks) findings.push(...(await inspectCheck(check, version, signal)));
      return findings;
    },
  };
}

function commandOf(kind: string, { run: [program = ''], user }: Hook): ConfiguredCommand {
  return { what: `${kind} hook`, program, user };
}
