import { formatMs } from '../../shared/retry.ts';
import type { PublisherEvent } from '../events.ts';

type Stage = Extract<PublisherEvent, { type: 'wave' | 'waiting' }>;

/** `wave 2 of 5, batch of 4: i-a, i-b, i-c, i-d`; what a rollout waits for, and how it goes on. */
export function waveText(event: Stage): string {
  if (event.type === 'wave') {
    const { wave, of, kind, instances } = event;
    const size = kind === 'canary' ? 'canary' : `batch of ${instances.length}`;
    return `wave ${wave} of ${of}, ${size}: ${instances.join(', ')}`;
  }
  const { after, until, command, at } = event;
  const where = after === 0 ? 'all stand prepared, nobody has switched' : 'the canary has switched';
  const whom =
    until === undefined
      ? 'waiting for a person'
      : `going on in ${formatMs(Math.max(0, until - at))} if nothing fails`;
  return `${where}; ${whom}: ${command}`;
}
