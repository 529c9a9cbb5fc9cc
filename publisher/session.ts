import { hostname } from 'node:os';
import type { Aws, Interruption } from '../shared/aws.ts';
import type { Clock } from '../shared/clock.ts';
import { TriggerDeployError } from '../shared/errors.ts';
import { userName } from '../shared/home.ts';
import type { Signer, Verifier } from '../shared/signing.ts';
import type { Environment } from './config/load.ts';
import { type Connection, openConnection } from './connection.ts';
import { note, type PublisherEvent } from './events.ts';
import type { Origin, Person } from './record/origin.ts';
import { type EnvironmentRecord, openRecord } from './record/record.ts';

/** One run of a command in one environment. */
export interface Session {
  readonly env: Environment;
  readonly aws: Aws;
  readonly record: EnvironmentRecord;
  /** As `Connection.signer`. */
  signer(): Promise<Signer>;
  /** As `Connection.verifier`. */
  verifier(): Promise<Verifier>;
  /**
   * `issuedBy`: the name of the person at a console, `jenkins payments#4711` in a Jenkins build,
   * `github acme/payments#4711` in a run of GitHub Actions, else `user@host`.
   */
  readonly who: string;
  readonly origin: Origin;
  /** The person at a console for whom the command runs; undefined in a terminal and in a build. */
  readonly person?: Person | undefined;
  /** Aborts when the command must end. In a verb that follows a deployment, Ctrl-C aborts `detach` instead. */
  readonly signal: AbortSignal;
  emit(event: PublisherEvent): void;
  readonly clock: Clock;
  /**
   * The session of another environment of the config. When this session is closed, the other session is closed, too.
   * @throws as `loadEnvironment`.
   */
  beside(name: string): Promise<Session>;
  /** Closes the connections. */
  close(): void;
}

/** Asks a person: true for yes, rejects when `signal` aborts. */
export type Ask = (signal: AbortSignal) => Promise<boolean>;

export interface SessionOptions {
  signal: AbortSignal;
  /** What ends the calls to AWS after Ctrl-C; only their deadlines when left out. */
  interruption?: Interruption | undefined;
  emit: (event: PublisherEvent) => void;
  /** The environment variables of the process, for `issuedBy` and the origin. */
  environment: Readonly<Record<string, string | undefined>>;
  /** Loads another environment, for commands that need more than one. */
  load?: ((name: string) => Promise<Environment>) | undefined;
  /** The person at a console for whom the command runs; then the name of this process says nothing. */
  person?: Person | undefined;
  /** The command line, as the page of the console showed it; recorded. */
  argv?: readonly string[] | undefined;
}

/** Ends a command that is interrupted before it announces its deployment. @throws CANCELLED if `detach` has aborted. */
export function refuseIfDetached(detach: AbortSignal): void {
  if (detach.aborted) throw new TriggerDeployError('CANCELLED', 'interrupted; nothing was announced');
}

/**
 * Opens the environment with a connection of its own, which ends with the session. AWS is not called and no key is read
 * until something needs it.
 */
export async function openSession(env: Environment, options: SessionOptions): Promise<Session> {
  const { load } = options;
  const connect = async (name: string) => openOwn(await loadOther(name, load), options);
  const connection = openOwn(env, options);
  return sessionOf(connection, connection.aws, { ...options, connect, closes: true });
}

function openOwn(env: Environment, { emit, signal, interruption }: SessionOptions): Connection {
  const onSlow = (text: string) => note({ emit, clock: connection.clock }, text);
  const connection = openConnection(env, { signal, interruption, onSlow });
  return connection;
}

/**
 * A session on a connection that others share: its signal and its interruption end only its own calls, and to close it
 * closes nothing else. `connect` gives the shared connection of another environment, for `beside`.
 */
export function shareSession(
  connection: Connection,
  options: Omit<SessionOptions, 'load'> & { connect: Connect },
): Session {
  const { interruption, emit } = options;
  const onSlow = (text: string) => note({ emit, clock: connection.clock }, text);
  return sessionOf(connection, connection.aws.within({ interruption, onSlow }), {
    ...options,
    closes: false,
  });
}

/** Gives the connection of another environment of the config. @throws as `loadEnvironment`. */
export type Connect = (name: string) => Promise<Connection>;

interface Opening extends Omit<SessionOptions, 'load'> {
  connect: Connect;
  /** Whether the session closes its connections. */
  closes: boolean;
}

function sessionOf(connection: Connection, aws: Aws, options: Opening): Session {
  const { env, clock, signer, verifier } = connection;
  const { interruption, person, closes, connect } = options;
  const origin = originOf(options.environment, person, options.argv);
  const who = person?.name.slice(0, 256) ?? issuedBy(options.environment, origin);
  const warn = (text: string) => note({ emit: options.emit, clock }, text, 'warning');
  const tell = (text: string) => note({ emit: options.emit, clock }, text);
  // A verb that changes something completes its last step after Ctrl-C, with the reads that belong to it.
  const reading = interruption?.readMs === 0 ? interruption.signal : undefined;
  const record = openRecord({ env, aws, clock, who, origin, signer, verifier, warn, tell, reading });
  const others = new Map<string, Promise<Session>>();
  const beside = (name: string) => {
    const opening =
      others.get(name) ??
      connect(name).then((other) =>
        closes ? sessionOf(other, other.aws, options) : shareSession(other, options),
      );
    others.set(name, opening);
    return opening;
  };
  return {
    ...{ env, aws, record, signer, verifier, who, origin, person, clock, beside },
    signal: options.signal,
    emit: options.emit,
    close() {
      if (closes) connection.close();
      for (const opening of others.values())
        opening.then(
          (other) => other.close(),
          () => undefined,
        );
    },
  };
}

async function loadOther(name: string, load: SessionOptions['load']): Promise<Environment> {
  if (load !== undefined) return await load(name);
  throw new TriggerDeployError('CONFIG_INVALID', `the environment ${name} is not known here`);
}

/** Of a person at a console: the process of the console, and the person. */
export function originOf(
  environment: SessionOptions['environment'],
  person?: Person,
  argv?: readonly string[],
): Origin {
  const build = person ? undefined : (environment.BUILD_URL ?? githubRun(environment)?.url);
  return {
    user: userName(environment).slice(0, 128),
    host: hostname().slice(0, 255),
    ...(build ? { build } : {}),
    ...(person && { via: person.via }),
    ...(person?.verified && { verified: person.verified }),
    ...(argv && { argv: shortened(argv) }),
  };
}

/** What the record says of the person beside the name: through which console they acted, and who they are by a token. */
export function actorOf({
  origin: { via, verified },
}: Pick<Session, 'origin'>): Pick<Origin, 'via' | 'verified'> {
  return { ...(via !== undefined && { via }), ...(verified && { verified }) };
}

/** How much of a command line is recorded: words, and characters of each. Only a long list of instances has more. */
const MOST_WORDS = 100;
const LONGEST_WORD = 2048;

function shortened(argv: readonly string[]): string[] {
  const words = argv.length <= MOST_WORDS ? argv : [...argv.slice(0, MOST_WORDS - 1), '…'];
  return words.map((word) => (word.length <= LONGEST_WORD ? word : `${word.slice(0, LONGEST_WORD - 1)}…`));
}

/**
 * A build of Jenkins, a run of GitHub Actions, or `user@host`.
 * https://www.jenkins.io/doc/book/pipeline/jenkinsfile/#using-environment-variables
 */
export function issuedBy(environment: SessionOptions['environment'], origin: Origin): string {
  const { JENKINS_URL, BUILD_TAG, JOB_NAME, BUILD_NUMBER } = environment;
  const jenkins = Boolean(JENKINS_URL) || BUILD_TAG?.startsWith('jenkins-') === true;
  const build = JOB_NAME && BUILD_NUMBER ? `${JOB_NAME}#${BUILD_NUMBER}` : BUILD_TAG;
  const person = `${origin.user}@${origin.host}`;
  const who = jenkins && build ? `jenkins ${build}` : (githubRun(environment)?.name ?? person);
  return who.slice(0, 256);
}

/** https://docs.github.com/en/actions/reference/workflows-and-actions/variables */
function githubRun(environment: SessionOptions['environment']): { name: string; url: string } | undefined {
  const { GITHUB_ACTIONS, GITHUB_REPOSITORY, GITHUB_RUN_ID, GITHUB_RUN_NUMBER, GITHUB_SERVER_URL } =
    environment;
  if (GITHUB_ACTIONS !== 'true' || !GITHUB_REPOSITORY || !GITHUB_RUN_ID) return undefined;
  return {
    name: `github ${GITHUB_REPOSITORY}#${GITHUB_RUN_NUMBER ?? GITHUB_RUN_ID}`,
    url: `${GITHUB_SERVER_URL ?? 'https://github.com'}/${GITHUB_REPOSITORY}/actions/runs/${GITHUB_RUN_ID}`,
  };
}
