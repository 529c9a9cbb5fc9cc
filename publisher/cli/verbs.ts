import type { Row } from './verb.ts';
import { cleanVerbs } from './verbs-clean.ts';
import { consoleVerbs } from './verbs-console.ts';
import { decideVerbs } from './verbs-decide.ts';
import { deployVerbs } from './verbs-deploy.ts';
import { initVerbs } from './verbs-init.ts';
import { lookVerbs } from './verbs-look.ts';
import { setupVerbs } from './verbs-setup.ts';

/** The table of all verbs. The parser, the help, the completion and the run of a verb are derived from its row. */

const rows = {
  ...deployVerbs,
  ...lookVerbs,
  ...consoleVerbs,
  ...decideVerbs,
  ...initVerbs,
  ...setupVerbs,
  ...cleanVerbs,
};
export type Verb = keyof typeof rows;
export const VERBS: Readonly<Record<Verb, Row>> = rows;

/** The names that a person types. Deploying has no name: `trigger-deploy SERVICE VERSION`. */
export const NAMES = (Object.keys(VERBS) as Verb[]).filter((verb) => verb !== 'deploy');

export const isVerb = (word: string): word is Verb => Object.hasOwn(VERBS, word);
