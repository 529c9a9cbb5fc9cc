import { hostname } from 'node:os';
import { type Aws, createAws, type Interruption } from '../shared/aws.ts';
import { kmsKeyOf } from '../shared/aws-names.ts';
import { type Clock, createClock } from '../shared/clock.ts';
import { TriggerDeployError } from '../shared/errors.ts';
import { userName } from '../shared/home.ts';
import { loadPublicKey, loadSigner, type Signer, type Verifier, verifierOf } from '../shared/signing.ts';
import type { Environment } from './config/load.ts';
import { note, type PublisherEvent } from './events.ts';
import type { Origin } from './record/origin.ts';
import { type EnvironmentRecord, openRecord } from './record/record.ts';

/** One run of a command in one environment. */
export interface Session {
  readonly env: Environment;
  readonly aws: Aws;
  readonly record: EnvironmentRecord;
  /** The environment's signing key. @throws CONFIG_INVALID when there is none, KEY_INVALID, AWS_* (KMS). */
  signer(): Promise<Signer>;
  /**
   * The verifier. It trusts the keys of `trust` and the signing key's public key. For a signing key in KMS, its public
   * key is read when a document needs it, at once if `trust` is empty. @throws as `signer`.
   */
  verifier(): Promise<Verifier>;
  /** `issuedBy`: `jenkins payments#4711` in a Jenkins build, `github acme/payments#4711` in a run of GitHub Actions, else `user@host`. */
  readonly who: string;
  readonly origin: Origin;
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

export interface SessionOptions {
  signal: AbortSignal;
  /** What ends the calls to AWS after Ctrl-C; only their deadlines when left out. */
  interruption?: Interruption | undefined;
  emit: (event: PublisherEvent) => void;
  /** The environment variables of the process, for `issuedBy` and the origin. */
  environment: Readonly<Record<string, string | undefined>>;
  /** Loads another environment, for commands that need more than one. */
  load?: (name: string) => Promise<Environment>;
}

/** Ends a command that is interrupted before it announces its deployment. @throws CANCELLED if `detach` has aborted. */
export function refuseIfDetached(detach: AbortSignal): void {
  if (detach.aborted) throw new TriggerDeployError('CANCELLED', 'interrupted; nothing was announced');
}

/** Opens the environment. AWS is not called and no key is read until something needs it. */
export async function openSession(env: Environment, options: SessionOptions): Promise<Session> {
  const { interruption } = options;
  const onSlow = (text: string) => note({ emit: options.emit, clock }, text);
  const aws = createAws(env, { interruption, onSlow });
  const signer = once(() => loadSigningKey(env, aws, options.signal));
  const verifier = once(() => openVerifier(env, signer));
  const clock = createClock(() => aws.now());
  const origin = originOf(options.environment);
  const who = issuedBy(options.environment, origin);
  const warn = (text: string) => note({ emit: options.emit, clock }, text, 'warning');
  // A verb that changes something completes its last step after Ctrl-C, with the reads that belong to it.
  const reading = interruption?.readMs === 0 ? interruption.signal : undefined;
  const record = openRecord({ env, aws, clock, who, origin, signer, verifier, warn, tell: onSlow, reading });
  const others = new Map<string, Promise<Session>>();
  const beside = (name: string) => {
    const opening = others.get(name) ?? openBeside(name, options);
    others.set(name, opening);
    return opening;
  };
  return {
    env,
    aws,
    record,
    signer,
    verifier,
    who,
    origin,
    signal: options.signal,
    emit: options.emit,
    clock,
    beside,
    close() {
      aws.close();
      for (const opening of others.values())
        opening.then(
          (other) => other.close(),
          () => undefined,
        );
    },
  };
}

async function openBeside(name: string, options: SessionOptions): Promise<Session> {
  if (options.load === undefined) {
    throw new TriggerDeployError('CONFIG_INVALID', `the environment ${name} is not known here`);
  }
  return await openSession(await options.load(name), options);
}

async function loadSigningKey(env: Environment, aws: Aws, signal: AbortSignal): Promise<Signer> {
  const { name, region, signingKey } = env;
  if (signingKey === undefined) {
    throw new TriggerDeployError('CONFIG_INVALID', `the environment ${name} has no signingKey`, {
      hint: `add signingKey under environments.${name}; trigger-deploy keygen creates a key pair`,
    });
  }
  const key = kmsKeyOf(signingKey);
  if (key === undefined) return await loadSigner(signingKey);
  // Loaded only here: the client of KMS costs a publisher with a key file nothing.
  const { openKmsSigner } = await import('./kms/signer.ts');
  return await openKmsSigner({ aws, env: name, region, key, signal });
}

async function openVerifier(env: Environment, signer: () => Promise<Signer>): Promise<Verifier> {
  const { name, signingKey } = env;
  const trusted = await Promise.all(env.trust.map(loadPublicKey));
  const own = async () => (await signer()).publicKey;
  if (signingKey === undefined && trusted.length === 0) {
    throw new TriggerDeployError(
      'CONFIG_INVALID',
      `the environment ${name} has no key to verify signatures with`,
      {
        hint: `add signingKey, or public key files as trust, under environments.${name}`,
      },
    );
  }
  if (signingKey === undefined) return verifierOf(trusted);
  if (kmsKeyOf(signingKey) === undefined) return verifierOf([await own(), ...trusted]);
  if (trusted.length === 0) await own();
  const { kmsVerifier } = await import('./kms/verifier.ts');
  return kmsVerifier(trusted, signingKey, own);
}

/** Calls `make` once and gives its promise to every caller. After a failure, the next call calls `make` again. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}

export function originOf(environment: SessionOptions['environment']): Origin {
  const build = environment.BUILD_URL ?? githubRun(environment)?.url;
  return {
    user: userName(environment).slice(0, 128),
    host: hostname().slice(0, 255),
    ...(build ? { build } : {}),
  };
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
