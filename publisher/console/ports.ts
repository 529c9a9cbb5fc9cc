import type { Environment } from '../config/load.ts';
import type { ExitCode, PublisherEvent } from '../events.ts';
import type { Person } from '../record/origin.ts';
import type { Session } from '../session.ts';
import type { ErrorView, HistoryView, LiveMessage, Report, RollCallView, StandingView } from './api.ts';
import type { Grant } from './permissions.ts';

/** What the rooms of the console take from outside and from each other. */

/** A checked command line. Only the room `cli` knows more about it. */
export interface Command {
  verb: string;
  env: string | undefined;
  service: string | undefined;
  deployment: string | undefined;
  /** The command line as it was given to `parse`. */
  argv: readonly string[];
  /** The checked values of the arguments and options, by name. */
  values: Readonly<Record<string, unknown>>;
  /** Whether the verb follows a deployment to its end. */
  follows: boolean;
  /** The group of the verb in the help. */
  group: string;
  /** `reads`: it signs nothing. `asks`: it asks the fleet, which is signed. `signs`: it changes something. */
  effect: 'reads' | 'asks' | 'signs';
  /** Why the page may not run it; undefined when it may. */
  notOnPage: string | undefined;
}

/** Why a request is refused. 401: nothing proves who sends it. 403: that person may not. 503: nobody can be verified now. */
export interface Refusal {
  status: 401 | 403 | 503;
  error: ErrorView;
}

/** Who uses the console, and what each person may do. */
export interface People {
  /** Whether the page has a session of its own, or a proxy says at each request who the person is. */
  readonly mode: 'loopback' | 'proxy';
  /**
   * Who sends a request with these headers (`headersDistinct` of Node's IncomingMessage: every value that came). It is
   * asked at each request, after the headers of admit.ts are checked. `until`: when the token expires, ms since the
   * epoch; a stream ends then at the latest.
   */
  personOf(
    headers: NodeJS.Dict<string[]>,
    signal: AbortSignal,
  ): Promise<{ person: Person; until?: number | undefined } | { refusal: Refusal }>;
  grantsOf(person: Person): readonly Grant[];
  /**
   * Why the person may not run the command; undefined when they may. A command that names a deployment gets the service
   * of that deployment (`Looks.find`) as `service` before: without it, only a permission for all services counts.
   */
  mayRun(person: Person, command: Command): Refusal | undefined;
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
  /**
   * A service that looks like a misspelt verb is a service where the config has it, or a version follows it.
   * @throws USAGE; also for a request of help, and where no environment is named: the page names it always.
   */
  parse(argv: readonly string[]): Promise<Command>;
  /**
   * Carries out a command that `parse` returned; what happens is told to `order.emit` alone. The notices of the
   * environment are sent. @throws USAGE for a command that is not for a page; as the verb.
   */
  invoke(command: Command, order: Order): Promise<Outcome>;
  /** The error as the page gets it, and the exit code of the terminal. */
  explain(error: unknown): { code: string; message: string; hint?: string | undefined; exitCode: ExitCode };
}

/** What the verb `console` gives to the server. */
export interface ConsolePorts {
  commandLine: CommandLine;
  environments: Environments;
  /** Closes the connections. Commands that are under way fail: they are to be detached before. */
  close(): void;
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
  /**
   * Reads again what is not fresh, for a page that begins to look at what is looked at already: what somebody has just
   * changed elsewhere must be there. Left out where all of it is fresh. Never rejects.
   */
  freshen?(): Promise<void>;
}

/**
 * Begins to look: resolves when the first snapshot is there, and calls `show` with all that changes, until `signal`
 * aborts. It never writes, publishes or creates anything.
 */
export type OpenSubject = (show: (message: LiveMessage) => void, signal: AbortSignal) => Promise<Subject>;

/** What the deployments that this console drives tell, as it happens. */
export interface OwnEvents {
  /**
   * Calls `hear` with what such a deployment has told, at once, and with all that follows, until `signal` aborts. Returns
   * whether this console drives it now.
   */
  listen(deployment: string, hear: (event: PublisherEvent) => void, signal: AbortSignal): boolean;
}

export interface HistoryQuestion {
  env?: string | undefined;
  service?: string | undefined;
  /** Only what began at that time or later, ms since the epoch. */
  since?: number | undefined;
  only?: 'failed' | undefined;
  before?: string | undefined;
  /** 1 to 200. */
  limit: number;
}

/** All that pages look at. Nothing here writes or publishes, but `rollCall`. */
export interface Looks {
  overview(): OpenSubject;
  service(service: string): OpenSubject;
  deployment(place: { env: string; service: string; deployment: string }): OpenSubject;
  history(question: HistoryQuestion, signal: AbortSignal): Promise<HistoryView>;
  standing(
    question: { at: number; service?: string | undefined },
    signal: AbortSignal,
  ): Promise<StandingView>;
  /**
   * Where the deployment was: in `only`, or in any environment. One that cannot be read is no hindrance where another one
   * has it. @throws DEPLOYMENT_NOT_FOUND, AWS_*.
   */
  find(deployment: string, signal: AbortSignal, only?: string): Promise<{ env: string; service: string }>;
  /** The report of one instance with its whole log tail. @throws DEPLOYMENT_NOT_FOUND, INSTANCE_NOT_FOUND. */
  report(
    place: { env: string; service: string; deployment: string; instance: string },
    signal: AbortSignal,
  ): Promise<Report>;
  /** Asks the fleet. One at a time in each environment, every 5 s at most: who asks meanwhile gets the same answer. */
  rollCall(env: string, person: Person, signal: AbortSignal): Promise<RollCallView>;
}
