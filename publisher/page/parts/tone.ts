/** The colours of states: `--good` and the others of page.css. The glyph and the word of a state come before its colour. */
export type Tone = 'good' | 'bad' | 'warn' | 'busy' | 'dim';
