import { formatMs } from '../../shared/duration.ts';
import type { PublisherEvent } from '../events.ts';
import { instancesText } from './failure-text.ts';

type WaveEvent = Extract<PublisherEvent, { type: 'wave' | 'waiting' }>;

/** `wave 2 of 5, batch of 4: i-a, i-b, i-c, i-d`; or what a deployment waits for, and the command that continues it. */
export function waveText(event: WaveEvent): string {
  if (event.type === 'wave') {
    const { wave, of, kind, instances } = event;
    const size = kind === 'canary' ? 'canary' : `batch of ${instances.length}`;
    return `wave ${wave} of ${of}, ${size}: ${instancesText(instances)}`;
  }
  const { after, until, command, at, confirm } = event;
  const where = after === 0 ? 'all instances are prepared, none has switched' : 'the canary has switched';
  if (confirm === 'other')
    return `${where}; waiting for another person to confirm it on the console: ${command}`;
  const whom =
    until === undefined
      ? 'waiting for confirmation'
      : `continues in ${formatMs(Math.max(0, until - at))} if nothing fails; to continue now`;
  return `${where}; ${whom}: ${command}`;
}
