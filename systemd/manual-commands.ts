import { usageOf } from '../publisher/cli/help.ts';
import { GROUPS } from '../publisher/cli/verb.ts';
import { VERBS, type Verb } from '../publisher/cli/verbs.ts';

/** The commands of the publisher's manual page, by group, in the language of man(7). */
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

/** A hyphen that is typed is not a hyphen of a text. */
const escaped = (text: string) => text.replaceAll('-', '\\-');
