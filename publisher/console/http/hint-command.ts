import type { Command } from '../ports.ts';

const NAME = 'trigger-deploy ';
/** A word that needs no quotes. */
const WORD = /^[A-Za-z0-9._=%:/@+-]+$/;
/** `VERSION`, `SERVICE`, `FORMER-KEY-ID`: a person has to put something in its place. */
const PLACEHOLDER = /^[A-Z][A-Z-]*$/;
const MOST_WORDS = 16;

/**
 * The command that a hint of this program names, such as `trigger-deploy unpause payments --env prd ends it`, if the page
 * may run it; undefined when there is none. The sentence goes on behind the command, without quotes: the command ends
 * with its options, and --env is always one of them. `hint` must be of our own error: never text of an agent or a person.
 */
export async function commandOf(
  hint: string | undefined,
  parse: (argv: readonly string[]) => Promise<Command>,
): Promise<readonly string[] | undefined> {
  const at = hint?.indexOf(NAME) ?? -1;
  if (hint === undefined || at === -1) return undefined;
  const [clause = ''] = hint.slice(at + NAME.length).split(/[;,`(]/, 1);
  const words = clause.trim().split(' ');
  const env = words.indexOf('--env');
  if (env < 1 || words.length > MOST_WORDS) return undefined;
  let end = env + 2;
  let found: readonly string[] | undefined;
  for (;;) {
    const argv = words.slice(0, end);
    if (argv.some((word) => !WORD.test(word) || PLACEHOLDER.test(word))) return found;
    if (await isForPage(argv, parse)) found = argv;
    if (words[end]?.startsWith('--') !== true) return found;
    // An option that takes a value needs two words; whether it does, the parser knows.
    end += (await isForPage(words.slice(0, end + 1), parse)) ? 1 : 2;
    if (end > words.length) return found;
  }
}

async function isForPage(argv: readonly string[], parse: (argv: readonly string[]) => Promise<Command>) {
  try {
    const { notOnPage, env } = await parse(argv);
    return notOnPage === undefined && env !== undefined;
  } catch {
    return false;
  }
}
