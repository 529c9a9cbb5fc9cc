import type { CompletedCommand } from '../commands/completion.ts';
import { flag, type Option, optionForms } from './option-kinds.ts';
import { common } from './option-sets.ts';
import type { Row } from './verb.ts';

/** The commands that a shell completes, from the rows of the verbs. The name of `deploy` is empty: nobody types it. */
export function completedCommands(verbs: Readonly<Record<string, Row>>): CompletedCommand[] {
  return Object.entries(verbs).map(([verb, { summary, usage, options }]) => {
    const all: [string, Option][] = Object.entries({ ...options, ...common, help: flag('Show help') });
    const isArgument = ([, { kind }]: [string, Option]) => kind === 'argument';
    return {
      name: verb === 'deploy' ? '' : verb,
      summary,
      options: all
        .filter((one) => !isArgument(one))
        .map(([key, option]) => ({
          ...{ forms: optionForms(key, option), help: option.help, completes: option.completes },
          takesValue: option.kind !== 'flag',
        })),
      arguments: all.filter(isArgument).map(([, { completes }]) => completes),
      repeats: usage.includes('..'),
    };
  });
}
