import { readFile } from 'node:fs/promises';
import { askSystemd } from '../process/systemctl.ts';
import { propertiesOf } from './unit-state.ts';

/** What systemd says about the unit of this process. */

const WITHIN_MS = 5000;

/**
 * Whether systemd itself started this process again after an end, so that nobody waits for the answer to this start.
 * False where no unit was started, or systemd does not answer. `environment` is that of the process.
 */
export async function isRestartOfUnit(
  environment: Readonly<Record<string, string | undefined>>,
  groups = '/proc/self/cgroup',
): Promise<boolean> {
  const invocation = environment.INVOCATION_ID;
  if (!invocation || !environment.NOTIFY_SOCKET) return false;
  const text = await readFile(groups, 'utf8').catch(() => '');
  const unit = /\/([\w:.@-]+\.service)$/m.exec(text)?.[1];
  if (unit === undefined) return false;
  const argv = ['systemctl', 'show', unit, '--property=InvocationID,NRestarts'];
  const signal = AbortSignal.timeout(WITHIN_MS);
  const answer = await askSystemd(argv, { signal }).catch(() => undefined);
  const values = propertiesOf(answer?.stdout ?? '');
  return values.get('InvocationID') === invocation && Number(values.get('NRestarts')) > 0;
}
