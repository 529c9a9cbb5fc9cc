import type { Clock } from '../../shared/clock.ts';
import type { Artifact, Manifest } from '../../shared/manifest.ts';
import type { InstanceRecord, Reply, Report } from '../../shared/report.ts';
import type { ServiceState } from './state.ts';

/**
 * What the steps need of the host and of AWS: interfaces only. `host/` and `aws/` implement them, wire-agent.ts joins
 * them to the steps, and the fault tests join the same steps to adapters that crash.
 *
 * Every method that waits takes a signal and ends soon after it aborts, throwing the signal's reason.
 */

export interface ArtifactStore {
  /**
   * The bytes [start, end) of an artifact; its key follows from service, version, digest and name. The stream may end
   * early or have a wrong content: the caller counts and hashes.
   * @throws ARTIFACT_NOT_FOUND (final), DOWNLOAD_FAILED (a retry may succeed), also while streaming.
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
   * The verified manifest; undefined where the version was never pushed.
   * @throws SIGNATURE_INVALID, DOCUMENT_INVALID, AWS errors.
   */
  read(service: string, version: string, signal: AbortSignal): Promise<Manifest | undefined>;
}

export interface DesiredStore {
  /** The stored text of the desired state, unless its etag is still `knownEtag`. */
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
  /** The digests recorded when it was prepared; empty for an adopted release. */
  artifacts: readonly Artifact[];
}

/** The deployment that a switch is part of, and what the switch may use. */
export interface Change {
  deployment: string;
  direction: 'forward' | 'back';
  /** 1 at first, and one more for each time the deployment was resumed. */
  attempt: number;
  /** Install the version even if it is installed already, because the installed one is not healthy. */
  again: boolean;
  /**
   * Stops the service. For a type that replaces files in place; it calls this as late as possible. A type that only
   * moves a link never calls it. @throws STOP_FAILED.
   */
  stop(): Promise<void>;
  note(text: string): void;
  signal: AbortSignal;
}

/** A package type, for the one service it was created for. Its folder in host/ knows everything about the type. */
export interface PackageType {
  readonly type: string;
  /** Whether the package contains the unit of its service; the unit then does not exist before the first deployment. */
  readonly installsUnit: boolean;
  /** The problems that prevent this host from deploying packages of the type; empty if there are none. */
  checkHost(): Promise<Finding[]>;
  /** The problems of the package of this service on this host; empty if there are none. */
  inspect(): Promise<Finding[]>;
  /** The version in the metadata of `file`; undefined for a type whose files have none. @throws PACKAGE_INVALID. */
  versionOf(file: string): Promise<string | undefined>;
  /** Every complete release on this instance, in any order. */
  releases(): Promise<Release[]>;
  /** The version `current` points at (deb: the installed one), null when there is none. */
  current(): Promise<string | null>;
  /** Whether `current` is completely installed: always true of a link; a run of dpkg may have been interrupted. */
  isWhole(): Promise<boolean>;
  /**
   * Makes a release from the files that ran before trigger-deploy and points `current` at it, where the config has
   * `adopt` and nothing is current. Returns its version, or null when there was nothing to do.
   */
  adopt(): Promise<string | null>;
  /**
   * Downloads, verifies and unpacks into the staging directory, then publishes the release by one rename. A complete
   * release with the same digests is kept and nothing is downloaded, unless `fresh`: then it is prepared again (where it is
   * `current`, its files are verified instead, because files in use must not be replaced). The staging directory is
   * always empty afterwards. For a deb, also makes sure that its dependencies can be met and that it can be undone.
   * @throws NO_SPACE, ARTIFACT_*, DOWNLOAD_FAILED, ARCHIVE_UNSAFE, PACKAGE_INVALID, RELEASE_CONFLICT,
   * DEPENDENCY_UNMET, UNDO_IMPOSSIBLE.
   */
  prepare(
    order: { service: string; version: string; artifacts: readonly Artifact[]; fresh: boolean },
    note: (text: string) => void,
    signal: AbortSignal,
  ): Promise<{ downloaded: number }>;
  /**
   * Points `current` at a complete release; removes `current` for null. Durable and idempotent; atomic (a link) or
   * resumed after an interruption (dpkg).
   * @throws RELEASE_INCOMPLETE when the release is missing or not complete; DPKG_LOCKED, DPKG_FAILED.
   */
  switchTo(version: string | null, change: Change): Promise<void>;
  /** Called last before `succeeded`, for a type whose switch another program may have undone. @throws when it was undone. */
  commit?(): Promise<void>;
  /**
   * Removes releases beyond the configured number; never one of `keep`, `current`, or one that a process has open.
   * Empties the staging directory, where a killed agent may have left files. Returns the removed versions.
   */
  prune(keep: ReadonlySet<string>): Promise<string[]>;
}

export interface ServiceStatus {
  active: boolean;
  /** The manager no longer tries to start it (systemd: `failed`). */
  failed: boolean;
  mainPid: number | null;
  /** How often the manager restarted it by itself since the last requested start. */
  restarts: number;
  /** Changes with every start (systemd: InvocationID), null where the manager has no such thing. */
  invocation: string | null;
  /** For people: `active (running)`. */
  summary: string;
  /** Another problem, and its hint: a masked unit, a pid file that cannot be trusted. */
  trouble?: { problem: string; hint: string } | undefined;
}

export interface ServiceManager {
  status(signal: AbortSignal): Promise<ServiceStatus>;
  /**
   * Starts or restarts it, and waits until the manager reports it active, within the configured timeouts. First clears
   * what would prevent a start (systemd: `reset-failed`, so that a start limit never blocks a rollback).
   * @throws START_FAILED, with the manager's output as detail.
   */
  restart(signal: AbortSignal): Promise<ServiceStatus>;
  /** Stops it and waits until it is down; kills it at the stop timeout. @throws STOP_FAILED. */
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

/** What a health check expects to find. */
export interface Expected {
  service: string;
  version: string;
  /** Added to the environment of a command check. */
  environment: Readonly<Record<string, string>>;
}

export interface Hook {
  run: readonly string[];
  /** ms; then TERM and KILL to the whole process group. */
  timeout: number;
  user?: string | undefined;
  environment: Readonly<Record<string, string>>;
}

export interface HookRunner {
  /** @throws HOOK_FAILED with the captured output as detail. */
  run(hook: Hook, environment: Readonly<Record<string, string>>, signal: AbortSignal): Promise<void>;
}

/** The load balancer's target groups in the config of one service. */
export interface Traffic {
  /** The groups that this instance is registered with now. @throws TRAFFIC_FAILED. */
  groups(signal: AbortSignal): Promise<string[]>;
  /**
   * Deregisters the instance from `groups` and waits, up to the drain timeout, until open requests have ended.
   * Idempotent. @throws TRAFFIC_FAILED.
   */
  leave(groups: readonly string[], note: (text: string) => void, signal: AbortSignal): Promise<void>;
  /** Registers the instance with `groups`. Idempotent. @throws TRAFFIC_FAILED. */
  join(groups: readonly string[], signal: AbortSignal): Promise<void>;
  /** Waits, up to the healthy timeout, until each of `groups` reports the instance healthy. @throws TRAFFIC_FAILED. */
  healthy(groups: readonly string[], note: (text: string) => void, signal: AbortSignal): Promise<void>;
}

/** The durable state of one service: the last state appended is the one loaded. */
export interface Journal {
  /**
   * Never throws because of the file's content: unreadable parts are moved to the file `quarantined`. `emptied` is the
   * path of a file that exists and is empty; without a file it is a first start.
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
  /** Sends a reply at once or never, in order, without waiting; a lost one does no harm. */
  progress(reply: Reply, replyTo: string | undefined): void;
  /** Writes to the S3 record, and to the reply queue if there is one. Resolves once it is in the record. */
  deliver(report: Report, replyTo: string | undefined, signal: AbortSignal): Promise<void>;
  /** Writes `instances/INSTANCE.json` of the record. */
  putInstance(record: InstanceRecord, signal: AbortSignal): Promise<void>;
}

export interface Host {
  /** Different after each boot. */
  bootId(): Promise<string>;
  /** Whether the machine is shutting down: then a failed service says nothing about its version. */
  stopping(signal: AbortSignal): Promise<boolean>;
}

/** The config of one service, as far as the steps need it. Times in ms. */
export interface ServiceConfig {
  name: string;
  checks: readonly Check[];
  watch: number;
  hooks: { beforeStop: readonly Hook[]; afterStart: readonly Hook[] };
  /** Whether reports may contain the end of the service's log. */
  reportLog: boolean;
}

/** The identity of this instance, and the version of its agent. */
export interface Identity {
  env: string;
  instance: string;
  zone: string | undefined;
  /** The tags of the config, and those of the metadata that the config does not override. */
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
