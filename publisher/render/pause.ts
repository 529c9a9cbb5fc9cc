import type { PauseAnswer } from '../commands/pause.ts';
import { oneLine } from './text.ts';

/** What was paused or unpaused, and the services whose agents were notified. */
export function pauseLines({ text, told }: PauseAnswer): string[] {
  return [oneLine(text), ...(told.length > 0 ? [`  agents notified: ${told.join(', ')}`] : [])];
}
