import { chmod, lchown } from 'node:fs/promises';
import { TriggerDeployError } from '../../../shared/errors.ts';
import type { Artifact } from '../../../shared/manifest.ts';
import { findGroupId } from '../process/run-as.ts';
import { configMode } from './release-modes.ts';

/** Who may read the config files of a release: the agent's user, and the group that `package.group` names. */

/**
 * The id of the group; undefined if the config names none.
 * @throws CONFIG_INVALID if there is no such group, or if the agent's user may not give files to it.
 */
export async function configGroupOf(
  group: string | undefined,
  signal: AbortSignal,
): Promise<number | undefined> {
  if (group === undefined) return undefined;
  const gid = await findGroupId(group, signal);
  if (gid === undefined) {
    throw new TriggerDeployError('CONFIG_INVALID', `there is no group ${group}`, {
      hint: `groupadd --system ${group}, or correct \`group\` in agent.yaml`,
    });
  }
  if (process.getuid?.() === 0 || process.getgid?.() === gid || process.getgroups?.().includes(gid))
    return gid;
  throw new TriggerDeployError(
    'CONFIG_INVALID',
    `the agent, as user ${process.getuid?.()}, may not give files to the group ${group}`,
    { hint: `make the agent's user a member of ${group}, and restart the agent` },
  );
}

/** Gives a config file of a release its group and mode. Nobody but the agent may reach `path` by another way. */
export async function giveConfig(
  path: string,
  artifact: Artifact,
  configGroup: number | undefined,
): Promise<void> {
  if (configGroup !== undefined) await lchown(path, process.getuid?.() ?? 0, configGroup);
  await chmod(path, configMode(artifact, configGroup !== undefined));
}
