import type { Row } from './deployment-view.ts';
import type { Tone } from './text.ts';

const STYLES: Record<Row['state'], { glyph: string; tone: Tone }> = {
  waiting: { glyph: '○', tone: 'dim' },
  accepted: { glyph: '●', tone: 'busy' },
  preparing: { glyph: '●', tone: 'busy' },
  prepared: { glyph: '●', tone: 'busy' },
  draining: { glyph: '●', tone: 'busy' },
  switching: { glyph: '●', tone: 'busy' },
  starting: { glyph: '●', tone: 'busy' },
  checking: { glyph: '●', tone: 'busy' },
  watching: { glyph: '●', tone: 'busy' },
  succeeded: { glyph: '✓', tone: 'good' },
  'rolled-back': { glyph: '↺', tone: 'warn' },
  failed: { glyph: '✗', tone: 'bad' },
  broken: { glyph: '✗', tone: 'bad' },
  rejected: { glyph: '✗', tone: 'bad' },
  superseded: { glyph: '–', tone: 'dim' },
  cancelled: { glyph: '–', tone: 'dim' },
  silent: { glyph: '?', tone: 'bad' },
  forgotten: { glyph: '–', tone: 'warn' },
};

/** The glyph and the colour of a state, the same in every answer. */
export const styleOf = (state: Row['state']) => STYLES[state];
