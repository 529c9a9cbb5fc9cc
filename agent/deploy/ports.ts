import type { Clock } from '../../shared/clock.ts';
import type { Artifact, Manifest } from '../../shared/manifest.ts';
import type { InstanceRecord, Reply, Report } from '../../shared/report.ts';
import type { ServiceState } from './state.ts';

/**
 * What the steps know of the world: interfaces only. `host/` and `aws/` implement them, `main.ts` wires
 * them, and the fault tests wire the same steps to adapters that crash.
 *
 * Every method that waits takes a signal and ends soon after it aborts, throwing the signal's reason.
 */

export interface ArtifactStore {
  /**
   * The bytes [start, end) of an artifact, whose place follows from service, version, digest and name.
   * The stream may end early or carry anything: the caller counts and hashes.
   * @throws ARTIFACT_NOT_FOUND (final), DOWNLOAD_FAILED (may pass by itself), also while streaming.
   */
  read(request: {
    service: string;
    version: string;
    artifact: Artifact;
    start: number;
    end: number;
    signal: AbortSignal;
  }): Promise<AsyncIterable<Uint8Array>>;
}

/** The signed manifests of pushed versions. */
export interface ManifestStore {
  /**
   * The verified manifest, undefined where the version was never pushed.
   * @throws SIGNATURE_INVALID, DOCUMENT_INVALID, AWS errors.
   */
  read(service: string, version: string, signal: AbortSignal): Promise<Manifest | undefined>;
}

export interface DesiredStore {
  /** The desired state's text as stored, unless it still is the one with `knownEtag`. */
  read(
    service: string,
    knownEtag: string | undefined,
    signal: AbortSignal,
  ): Promise<{ text: string; etag: string } | 'unchanged' | 'absent'>;
}

/** One line of `trigger-deploy-agent check`: what was looked at, and what is wrong with it unless it is `ok`. */
export interface Finding {
  ok: boolean;
  what: string;
  /** What to do about it; only where it is not `ok`. */
  hint?: string | undefined;
}

/** A version unpacked on this instance. */
export interface Release {
  version: string;
  /** The digests recorded when it was prepared; empty for an adopted one. */
  artifacts: readonly Artifact[];
}

/** The change that a switch is part of, and what it may ask for on its way. */
export interface Change {
  deployment: string;
  direction: 'forward' | 'back';
  /** 1 at first, and one more for each time the deployment was taken up again. */
  attempt: number;
  /** Install also what is installed already: it was asked for because that is not well. */
  again: boolean;
  /**
   * Stops the service. Called by a type that replaces files in place, once nothing else has to be waited for;
   * one that only moves a link never calls it. @throws STOP_FAILED.
   */
  stop(): Promise<void>;
  note(text: string): void;
  signal: AbortSignal;
}

/** A package type, for the one service it was created for. Its folder in host/ knows everything about the type. */
export interface PackageType {
  readonly type: string;
  /** Whether a package brings the unit of its service: before the first deployment that unit does not exist. */
  readonly installsUnit: boolean;
  /** What keeps this host from deploying packages of the type; empty where nothing does. */
  checkHost(): Promise<Finding[]>;
  /** What is wrong with the package of this service on this host; empty where nothing is. */
  inspect(): Promise<Finding[]>;
  /** The version that `file` says it is; undefined where only its name can say. @throws PACKAGE_INVALID. */
  versionOf(file: string): Promise<string | undefined>;
  /** Every complete release here, in no order. */
  releases(): Promise<Release[]>;
  /** The version `current` points at (deb: the one dpkg has), null when there is none. */
  current(): Promise<string | null>;
  /** Whether `current` is installed as a whole. Of a link that always holds; dpkg may have been cut short. */
  isWhole(): Promise<boolean>;
  /**
   * Makes what ran before trigger-deploy a release, and `current` point at it, where the config says
   * `adopt` and nothing is current. Returns its version, or null when there was nothing to do.
   */
  adopt(): Promise<string | null>;
  /**
   * Downloads, verifies and unpacks into staging, then publishes the release by one rename. A complete
   * release with the same digests is kept, and nothing is downloaded, unless `fresh`: then it is made anew
   * (where it is `current`, its files are verified instead, for nothing may be replaced under a process).
   * Staging is empty again whatever happens. A deb's dependencies can be met by then, and so can its undoing.
   * @throws NO_SPACE, ARTIFACT_*, DOWNLOAD_FAILED, ARCHIVE_UNSAFE, PACKAGE_INVALID, RELEASE_CONFLICT,
   * DEPENDENCY_UNMET, UNDO_IMPOSSIBLE.
   */
  prepare(
    order: { service: string; version: string; artifacts: readonly Artifact[]; fresh: boolean },
    note: (text: string) => void,
    signal: AbortSignal,
  ): Promise<{ downloaded: number }>;
  /**
   * Points `current` at a complete release, or removes it for null. Atomic (a link) or taken up again where it
   * was cut short (dpkg), durable, idempotent.
   * @throws RELEASE_INCOMPLETE when the release is missing or not whole; DPKG_LOCKED, DPKG_FAILED.
   */
  switchTo(version: string | null, change: Change): Promise<void>;
  /** The last thing before a success, for a type that others may take back until then. @throws when they did. */
  commit?(): Promise<void>;
  /**
   * Removes releases beyond the configured number; never one of `keep`, `current`, or one a live process has
   * open. Empties the staging of what a killed agent left there.
   */
  prune(keep: ReadonlySet<string>): Promise<string[]>;
}

export interface ServiceStatus {
  active: boolean;
  /** The manager has given it up (systemd: `failed`). */
  failed: boolean;
  mainPid: number | null;
  /** How often the manager restarted it by itself since it was last started by hand. */
  restarts: number;
  /** Changes with every start (systemd: InvocationID), null where the manager has no such thing. */
  invocation: string | null;
  /** For a person: `active (running)`. */
  summary: string;
  /** What is wrong beyond that, and how to mend it: a unit that is masked, a pid file that cannot be believed. */
  trouble?: { problem: string; hint: string } | undefined;
}

export interface ServiceManager {
  status(signal: AbortSignal): Promise<ServiceStatus>;
  /**
   * Starts, or restarts, and waits until the manager calls it active, within the configured timeouts. Clears
   * what would refuse a start (systemd: `reset-failed`, so that a start limit never blocks a rollback).
   * @throws START_FAILED, with the manager's output as detail.
   */
  restart(signal: AbortSignal): Promise<ServiceStatus>;
  /** Stops and waits until it is down; at the stop timeout it is killed. @throws STOP_FAILED. */
  stop(signal: AbortSignal): Promise<void>;
  /**
   * The end of the service's own log since `since` (ms since the epoch), raw, at most about 16 KiB; empty when there
   * is none.
   */
  logTail(since: number, signal: AbortSignal): Promise<string>;
}

/** A health check of the config. Its type, in host/services/checks/, knows the rest of it. Times in ms. */
export interface Check {
  /** The type of the check, as in the config: `http`. */
  kind: string;
  /** How many times in a row it must pass. */
  successes: number;
  /** It must have passed within this time. */
  deadline: number;
  /** One try may take this long. */
  timeout: number;
}

export interface HealthProbe {
  /** What it checks, for an error message: `GET http://127.0.0.1:8080/health`. */
  describe(check: Check): string;
  /** One try. An unhealthy service is an answer, not an error; only an aborted `signal` throws. */
  probe(check: Check, expected: Expected, signal: AbortSignal): Promise<{ ok: boolean; note: string }>;
}

/** What a health check is to find. */
export interface Expected {
  service: string;
  version: string;
  /** Added to the environment of a command check. */
  environment: Readonly<Record<string, string>>;
}

export interface Hook {
  run: readonly string[];
  /** ms; then TERM, and KILL, to the whole process group. */
  timeout: number;
  user?: string | undefined;
  environment: Readonly<Record<string, string>>;
}

export interface HookRunner {
  /** @throws HOOK_FAILED with the captured output as detail. */
  run(hook: Hook, environment: Readonly<Record<string, string>>, signal: AbortSignal): Promise<void>;
}

/** The load balancer's groups of targets, as the config of one service names them: where its requests come from. */
export interface Traffic {
  /** Those in which this instance is registered now. @throws TRAFFIC_FAILED. */
  groups(signal: AbortSignal): Promise<string[]>;
  /**
   * Takes the instance out of these, and waits, bounded, until what was under way is over. Idempotent.
   * @throws TRAFFIC_FAILED.
   */
  leave(groups: readonly string[], note: (text: string) => void, signal: AbortSignal): Promise<void>;
  /** Puts the instance into these; one that is there already stays. @throws TRAFFIC_FAILED. */
  join(groups: readonly string[], signal: AbortSignal): Promise<void>;
  /** Waits, bounded, until each of these calls the instance healthy. @throws TRAFFIC_FAILED. */
  healthy(groups: readonly string[], note: (text: string) => void, signal: AbortSignal): Promise<void>;
}

/** The durable memory of one service: the last state appended is the one loaded. */
export interface Journal {
  /**
   * Never throws for what the file holds: unreadable parts are set aside and named in `quarantined`. `emptied`
   * names a file that is there and holds nothing; one that is not there is a first start.
   */
  load(): Promise<{
    state: ServiceState | undefined;
    quarantined: string | undefined;
    emptied?: string | undefined;
  }>;
  /** On disk (fsync) when it resolves. */
  append(state: ServiceState): Promise<void>;
}

export interface Reporter {
  /** The fast path: at once or never, in order, without waiting; a lost one does not matter. */
  progress(reply: Reply, replyTo: string | undefined): void;
  /** To the S3 record, and to the reply queue where one was named. Resolves once it is in the record. */
  deliver(report: Report, replyTo: string | undefined, signal: AbortSignal): Promise<void>;
  /** `instances/INSTANCE.json` of the record. */
  putInstance(record: InstanceRecord, signal: AbortSignal): Promise<void>;
}

export interface Host {
  /** Another one after each boot. */
  bootId(): Promise<string>;
  /** Whether the whole machine is going down: then no failure of a service is a verdict. */
  stopping(signal: AbortSignal): Promise<boolean>;
}

/** What the operator's config says of one service, as the steps need it. Times in ms. */
export interface ServiceConfig {
  name: string;
  checks: readonly Check[];
  watch: number;
  hooks: { beforeStop: readonly Hook[]; afterStart: readonly Hook[] };
  /** Whether log tails may travel in reports. */
  reportLog: boolean;
}

/** Who this instance is, and what it runs. */
export interface Identity {
  env: string;
  instance: string;
  zone: string | undefined;
  /** What it is marked with: those of the config, and those of its metadata that the config does not name. */
  tags?: Readonly<Record<string, string>> | undefined;
  agentVersion: string;
}

/** Everything the steps of one service need. */
export interface Ports {
  clock: Clock;
  package: PackageType;
  manager: ServiceManager;
  probe: HealthProbe;
  hooks: HookRunner;
  /** Undefined where the config names no load balancer. */
  traffic?: Traffic | undefined;
  journal: Journal;
  reporter: Reporter;
  desired: DesiredStore;
  host: Host;
}
