import type { ExitCode, OutputFormat } from '../events.ts';
import type { Page } from '../render/page.ts';
import type { Session } from '../session.ts';
import type { Options, ValuesOf } from './option-kinds.ts';
import type { common } from './option-sets.ts';

/** What a verb is: one row of the table in `verbs.ts`. */

/** The groups of the program's help, in its order. */
export const GROUPS = { deploy: 'Deploy', look: 'Look', decide: 'Decide', setup: 'Set up' } as const;

/** What a verb answers, in each form. */
export interface Answer {
  /** A JSON line each. */
  things: readonly object[];
  /** On a terminal. */
  table(page: Page): string[];
  /** On a pipe. */
  lines(): string[];
}

/** What a verb can use besides its session and its values. */
export interface Surroundings {
  format: OutputFormat;
  /** Waits for y or n; undefined where no person can be asked. */
  ask: ((signal: AbortSignal) => Promise<boolean>) | undefined;
  /** Aborted by the first Ctrl-C of a verb that follows a deployment. */
  detach: AbortSignal;
  /** A JSON line at once, before the answer. */
  printThing(thing: object): void;
  /** The environments of the config, in its order. */
  environments(): Promise<string[]>;
  /** The session of one of them; its notes begin with its name. */
  open(environment: string): Promise<Session>;
  verbs: Readonly<Record<string, Row>>;
}

export type CommonValues = ValuesOf<typeof common>;

/** Methods, not properties: so a row of particular options is a `Row` as well. */
export interface Row<V = CommonValues & Record<string, unknown>> {
  /** Arguments and required options, as help shows them after the name. */
  usage: string;
  /** One line of the program's help. */
  summary: string;
  group: keyof typeof GROUPS;
  /** Its own options; every verb has those in `common`, too. */
  options: Options;
  /** Each begins with the program's name as `$0`. */
  examples: readonly (readonly [command: string, what: string])[];
  /** More of its help, below the options. */
  notes?: string;
  /** Whether stdout has only the answer: notes and warnings go to stderr. */
  looks?: boolean;
  /** Whether it pushes a version: the message after an interrupt says that none was pushed. */
  publishes?: boolean;
  /** Whether it follows a deployment: then the first Ctrl-C detaches from it and nothing is cancelled. */
  follows?(values: V): boolean;
  /** Why these values cannot be combined, in one line; undefined when they can. */
  refuse?(values: V): string | undefined;
  /** The environment it works in; `--env` when left out. */
  environment?(values: V): string | undefined;
  /** Whether the config's `home` is its environment when none is named. */
  orHome?: boolean;
  /** Works without the session of one environment; undefined where these values need one. */
  alone?(values: V, around: Surroundings): Promise<Answer> | undefined;
  /** Works in the session of its environment: answers, or shows what happens and ends with an exit code. */
  run?(session: Session, values: V, around: Surroundings): Promise<Answer | ExitCode>;
}

/** A row, with the values of its options typed. */
export function verb<const O extends Options>(
  row: Row<CommonValues & ValuesOf<O>> & { options: O },
): Row<CommonValues & ValuesOf<O>> & { options: O } {
  return row;
}

/** The same lines on a terminal and on a pipe. */
export const said = (thing: object, lines: () => string[]): Answer => ({
  things: [thing],
  table: lines,
  lines,
});
