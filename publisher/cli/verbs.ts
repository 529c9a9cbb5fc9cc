import type { Row } from './verb.ts';
import { decideVerbs } from './verbs-decide.ts';
import { deployVerbs } from './verbs-deploy.ts';
import { lookVerbs } from './verbs-look.ts';
import { setupVerbs } from './verbs-setup.ts';

/** Every verb, a row each: the command line, the help, the completion and what each verb does are derived from it. */

const rows = { ...deployVerbs, ...lookVerbs, ...decideVerbs, ...setupVerbs };
export type Verb = keyof typeof rows;
export const VERBS: Readonly<Record<Verb, Row>> = rows;

/** Deploying has no name of its own: `trigger-deploy SERVICE VERSION`. */
export const NAMES = (Object.keys(VERBS) as Verb[]).filter((verb) => verb !== 'deploy');

export const isVerb = (word: string): word is Verb => Object.hasOwn(VERBS, word);
