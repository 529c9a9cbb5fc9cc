import type { Clock } from '../../shared/clock.ts';
import { isCode, type TriggerDeployError } from '../../shared/errors.ts';
import type { Notifier } from './ports.ts';

/** How often the files are read while they have mistakes, ms. */
const EVERY = 2000;
/** How long a start waits, ms: less than TimeoutStartSec of the unit. A `systemctl start` by hand waits as long. */
const WAITS = 75_000;

/**
 * Resolves to what `load` returns. Where a config or a key cannot be used, the first start fails at once, so that
 * `systemctl enable --now` and `systemctl restart` fail too. A start that systemd makes after that waits for the
 * correction, because each start adds its lines to the journal. It fails once the files have another mistake, or after
 * WAITS. `tell` gets the error that is waited for.
 * @throws CONFIG_INVALID, KEY_INVALID; and the reason of `stopping`.
 */
export async function awaitConfig<T>(
  load: () => Promise<T>,
  parts: {
    isRestart(): Promise<boolean>;
    notifier: Pick<Notifier, 'status'>;
    clock: Clock;
    tell(error: TriggerDeployError): void;
  },
  stopping: AbortSignal,
): Promise<T> {
  const { notifier, clock } = parts;
  const end = clock.monotonic() + WAITS;
  for (let first: string | undefined; ; ) {
    try {
      return await load();
    } catch (error) {
      if (!isCode(error, 'CONFIG_INVALID', 'KEY_INVALID')) throw error;
      const text = [error.message, error.detail ?? ''].join('\n');
      if (first === undefined) {
        notifier.status(text);
        if (!(await parts.isRestart())) throw error;
        parts.tell(error);
        first = text;
      } else if (text !== first) {
        notifier.status(text);
        throw error;
      }
      if (clock.monotonic() > end) throw error;
    }
    await clock.sleep(EVERY, stopping);
  }
}
