import type { Environment } from '../config/load.ts';
import type { ExitCode, PublisherEvent } from '../events.ts';
import type { Person } from '../record/origin.ts';
import type { Session } from '../session.ts';
import type { LiveMessage } from './api.ts';

/** What the rooms of the console take from outside and from each other. */

/** A checked command line. Only the room `cli` knows more about it. */
export interface Command {
  verb: string;
  env: string | undefined;
  service: string | undefined;
  deployment: string | undefined;
  /** The checked values of the arguments and options, by name. */
  values: Readonly<Record<string, unknown>>;
  /** Whether the verb follows a deployment to its end. */
  follows: boolean;
  /** The group of the verb in the help. */
  group: string;
}

/** How a command is carried out for a person at a page. */
export interface Order {
  person: Person;
  emit: (event: PublisherEvent) => void;
  /** Aborts when this process stops driving; the deployment stays as it is. */
  detach: AbortSignal;
  /** Aborts when the command must end. */
  stop: AbortSignal;
  /** Whether the person has confirmed a deployment that has no instance yet. */
  confirmsEmpty: boolean;
}

/** How a command ended: it has answered, or it drove or followed a deployment. */
export type Outcome =
  | { kind: 'answer'; things: readonly object[]; lines: readonly string[]; exitCode: ExitCode }
  | { kind: 'driven'; exitCode: ExitCode };

/** The command line, as the terminal has it: the same parser, the same checks, the same functions. */
export interface CommandLine {
  /** @throws USAGE; also for a request of help. */
  parse(argv: readonly string[]): Promise<Command>;
  /** Carries out a command that `parse` returned. @throws as the verb. */
  invoke(command: Command, order: Order): Promise<Outcome>;
  /** The error as the page gets it, and the exit code of the terminal. */
  explain(error: unknown): { code: string; message: string; hint?: string | undefined; exitCode: ExitCode };
}

/** The environments, each with one long-lived connection that all sessions share. */
export interface Environments {
  /** In the order of the config. */
  names(): Promise<readonly string[]>;
  load(name: string): Promise<Environment>;
  /** A session that only looks: the same one each time, until the process ends. @throws CONFIG_INVALID. */
  look(name: string): Promise<Session>;
}

/** Something that pages look at. It is read once, however many look. */
export interface Subject {
  /** All that is known now, for a page that begins to look. */
  snapshot(): LiveMessage;
}

/**
 * Begins to look: resolves when the first snapshot is there, and calls `show` with all that changes, until `signal`
 * aborts. It never writes, publishes or creates anything.
 */
export type OpenSubject = (show: (message: LiveMessage) => void, signal: AbortSignal) => Promise<Subject>;
