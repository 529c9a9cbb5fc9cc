import { GROUPS } from './verb.ts';
import { VERBS, type Verb } from './verbs.ts';

/** The parts of the help that are about all verbs. */

const LEFT = 21;

/** The help of the program: the verbs by group, then `deploying`, the help of the verb that has no name. */
export function programHelp(deploying: string, columns: number): string {
  const groups = Object.entries(GROUPS).map(([group, title]) => {
    const verbs = (Object.keys(VERBS) as Verb[]).filter((verb) => VERBS[verb].group === group);
    const rows = verbs.flatMap((verb) =>
      row(verb === 'deploy' ? VERBS.deploy.usage : verb, VERBS[verb].summary, columns),
    );
    return [`${title}:`, ...rows].join('\n');
  });
  return [USAGE, ...groups, deploying].join('\n\n');
}

const USAGE = [
  'Usage: trigger-deploy <service> <version> [options]',
  '       trigger-deploy <command> [arguments] [options]',
  '       trigger-deploy <command> --help',
].join('\n');

function row(left: string, right: string, columns: number): string[] {
  const lines = wrapped(right, columns - LEFT - 4);
  return lines.map((line, i) => `  ${(i === 0 ? left : '').padEnd(LEFT)}  ${line}`);
}

function wrapped(text: string, width: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last === '') lines[lines.length - 1] = word;
    else if (last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** What a person types after the program's name. */
export const usageOf = (verb: Verb) =>
  [verb === 'deploy' ? '' : verb, VERBS[verb].usage].filter(Boolean).join(' ');

export const EPILOGUE = [
  '--version shows the version.',
  'Exit codes: 0 succeeded, 1 failed or rolled back, 2 bad usage or config, 3 timed out, 4 refused.',
].join('\n');
