import { usageOf } from '../publisher/cli/help.ts';
import { GROUPS } from '../publisher/cli/verb.ts';
import { VERBS, type Verb } from '../publisher/cli/verbs.ts';

/** The list of commands for the publisher's manual page, by group, as man(7) source. */
export function manualCommands(): string {
  const verbs = Object.keys(VERBS) as Verb[];
  return Object.entries(GROUPS)
    .flatMap(([group, title]) => [
      `.SS ${title}`,
      ...verbs
        .filter((verb) => VERBS[verb].group === group)
        .flatMap((verb) => ['.TP', `.B ${escaped(usageOf(verb))}`, escaped(VERBS[verb].summary)]),
    ])
    .join('\n');
}

/** In man(7), `\-` is the `-` of a command line, and a plain `-` is a hyphen between words. */
const escaped = (text: string) => text.replaceAll('-', '\\-');
