import type { Aws, AwsOptions } from '../../shared/aws.ts';
import type { ConfigSource } from '../config/config-source.ts';
import type { ConsolePorts } from '../console/ports.ts';
import type { ExitCode, OutputFormat } from '../events.ts';
import type { Page } from '../render/page.ts';
import type { Ask, Session } from '../session.ts';
import type { Options, ValuesOf } from './option-kinds.ts';
import type { common } from './option-sets.ts';

/** What a verb is: one row of the table in `verbs.ts`. */

/** The groups of the program's help, in its order. */
export const GROUPS = { deploy: 'Deploy', look: 'Look', decide: 'Decide', setup: 'Set up' } as const;

/** What a verb answers, in each form. */
export interface Answer {
  /** The answer as JSON: each object is printed on one line. */
  things: readonly object[];
  /** The answer for `--output table`, the default on a terminal. */
  table(page: Page): string[];
  /** The answer for `--output lines`, the default on a pipe. */
  lines(): string[];
  /** The exit code; 0 when left out. */
  exitCode?: ExitCode;
}

/** What a verb can use besides its session and its values. */
export interface Surroundings {
  format: OutputFormat;
  /** Waits until the person at the terminal types y or n; undefined when no person can be asked. */
  ask: Ask | undefined;
  /** Opens the gate of a deployment; see `Driving`. */
  gate: Ask | undefined;
  /** Agrees to deploy where no instance is yet; see `Driving`. */
  confirmEmpty: true | Ask | undefined;
  /** The first Ctrl-C aborts it if the verb follows a deployment. */
  detach: AbortSignal;
  /** Aborts when the command must end, in a verb that follows no deployment. */
  stop: AbortSignal;
  /** Prints a JSON line at once, before the answer. */
  printThing(thing: object): void;
  /** Prints lines for a person at once, before the answer. */
  printLines(lines: readonly string[]): void;
  /** Where the config is, for a verb that works without an environment of the config. */
  config: ConfigSource;
  /** The clients of AWS for such a verb, which must close them. */
  aws(place: AwsOptions): Aws;
  /** The environments of the config, in its order. */
  environments(): Promise<string[]>;
  /** The session of one environment. Its notes begin with the name of the environment. */
  open(environment: string): Promise<Session>;
  verbs: Readonly<Record<string, Row>>;
  /** What the console takes from the command line; undefined for a command of its page. */
  openConsolePorts: (() => Promise<ConsolePorts>) | undefined;
}

export type CommonValues = ValuesOf<typeof common>;

/** One verb. Its functions are methods, so that TypeScript accepts a row with particular values as a `Row`. */
export interface Row<V = CommonValues & Record<string, unknown>> {
  /** The arguments and the required options, as help shows them after the verb's name. */
  usage: string;
  /** One line of the program's help. */
  summary: string;
  group: keyof typeof GROUPS;
  /** The options of this verb. Every verb has the options in `common`, too. */
  options: Options;
  /** Examples for help; `$0` stands for the program's name. */
  examples: readonly (readonly [command: string, what: string])[];
  /** More help, shown below the options. */
  notes?: string;
  /** Whether stdout has only the answer: notes and warnings go to stderr, except with `--output json`. */
  looks?: boolean;
  /**
   * Whether the page of the console may run the verb: `reads` signs nothing; `asks` changes nothing, and may sign a roll
   * call; `signs` changes something. Without it the page may not.
   */
  onPage?: 'reads' | 'asks' | 'signs';
  /** Whether the verb pushes a version. If so, the message after an interrupt says that no version was pushed. */
  publishes?: boolean;
  /** Whether the verb follows a deployment. If so, the first Ctrl-C only stops following: nothing is cancelled. */
  follows?(values: V): boolean;
  /** Why these values cannot be combined, in one line; undefined when they can. */
  refuse?(values: V): string | undefined;
  /** The environment that the verb works in; `--env` when left out. */
  environment?(values: V): string | undefined;
  /** Whether the verb works in the config's `home` when no environment is named. */
  orHome?: boolean;
  /** Runs the verb without a session; undefined when the verb needs one for these values. */
  alone?(values: V, around: Surroundings): Promise<Answer> | undefined;
  /** Runs the verb in its session. It returns an answer, or it emits events and returns an exit code. */
  run?(session: Session, values: V, around: Surroundings): Promise<Answer | ExitCode>;
}

/** Returns `row`. The types of its values come from its options. */
export function verb<const O extends Options>(
  row: Row<CommonValues & ValuesOf<O>> & { options: O },
): Row<CommonValues & ValuesOf<O>> & { options: O } {
  return row;
}

/** An answer of one JSON object, with the same lines on a terminal and on a pipe. */
export const said = (thing: object, lines: () => string[]): Answer => ({
  things: [thing],
  table: lines,
  lines,
});
