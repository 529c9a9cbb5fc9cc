import type { Changes } from '../../shared/changes.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Artifact, Manifest } from '../../shared/manifest.ts';
import type { InstanceRecord, Reply, Report } from '../../shared/report.ts';
import type { Look, ServiceProcess } from './look-port.ts';
import type { ServiceManager } from './service-port.ts';
import type { ServiceState } from './state.ts';
import type { Traffic } from './traffic-port.ts';

/**
 * The interfaces to the host and to AWS that the steps need. `host/` and `aws/` implement them, and wire-agent.ts joins
 * them to the steps. The fault tests join the same steps to adapters that crash.
 *
 * A method with a `signal` ends soon after the signal aborts, and throws its reason.
 */

export interface ArtifactStore {
  /**
   * The bytes from `start` up to, but not including, `end`. The stream may end early or have wrong content: the caller
   * checks size and digest. What it yields may lie in `block`, and is valid only until the next is requested.
   * Once `signal` has aborted, `block` is not touched.
   * @throws ARTIFACT_NOT_FOUND (final), DOWNLOAD_FAILED (a retry may succeed), also while streaming.
   */
  read(request: {
    service: string;
    version: string;
    artifact: Artifact;
    start: number;
    end: number;
    block: Buffer;
    signal: AbortSignal;
  }): Promise<AsyncIterable<Uint8Array>>;
}

/** The signed manifests of pushed versions. */
export interface ManifestStore {
  /**
   * The verified manifest; undefined if the bucket has none of this service and version.
   * @throws SIGNATURE_INVALID, DOCUMENT_INVALID, AWS errors.
   */
  read(service: string, version: string, signal: AbortSignal): Promise<Manifest | undefined>;
}

export interface DesiredStore {
  /** The stored text of the desired state; `unchanged` if its ETag is `knownEtag`. */
  read(
    service: string,
    knownEtag: string | undefined,
    signal: AbortSignal,
  ): Promise<{ text: string; etag: string } | 'unchanged' | 'absent'>;
}

/** The list of changes of the environment (`shared/changes.ts`). */
export interface ChangesStore {
  /** Undefined if there is no list, if this instance may not read it, or if it is none. @throws AWS errors. */
  read(signal: AbortSignal): Promise<Changes | undefined>;
}

/**
 * One line of `trigger-deploy-agent check`: what was looked at, and what is wrong with it unless it is `ok`. With a hint,
 * one that is `ok` is a warning.
 */
export interface Finding {
  /** What `check --json` calls it; that of its probe when left out. */
  id?: string | undefined;
  ok: boolean;
  what: string;
  /** How to solve the problem, or what to do about the warning. */
  hint?: string | undefined;
}

/** What a deployment needs on the instance besides its package: unit, programs, users. `check` looks at the same. */
export interface Readiness {
  /**
   * Looks at the unit or the commands of the manager, at hooks and at checks. `version` is a complete release: what lies
   * in `current` is looked for in it. Null: in the release that is current. A finding that is not `ok` makes a deployment
   * fail after the service was stopped, or makes a rollback impossible.
   */
  inspect(version: string | null, signal: AbortSignal): Promise<readonly Finding[]>;
}

/** A complete release on this instance. */
export interface Release {
  version: string;
  /** The artifacts that it was made from; empty if it was not announced (it was adopted, or apt had its .deb). */
  artifacts: readonly Artifact[];
}

/** What a switch may use, and what it must know of the deployment that it is part of. */
export interface Change {
  deployment: string;
  direction: 'forward' | 'back';
  /** 1, plus the number of recoveries in this direction: how often the agent died and resumed the deployment. */
  attempt: number;
  /** Install the version although it is installed already: it is not healthy, or a deployment of it failed here. */
  again: boolean;
  /**
   * Stops the service. A type that replaces files in place calls this, as late as possible. A type that only changes
   * a link never calls it. @throws STOP_FAILED.
   */
  stop(): Promise<void>;
  note(text: string): void;
  signal: AbortSignal;
}

/** A package type, for one service. Only its code in host/ knows the details of the type. */
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
  /** The version that `current` points at (deb: the installed version); null if there is none. */
  current(): Promise<string | null>;
  /** Whether the current version is completely installed: false after an interrupted run of dpkg, or without its files. */
  isWhole(): Promise<boolean>;
  /**
   * If the config has `adopt` and there is no `current`, or one that is no way back: makes a release of the files that
   * ran before trigger-deploy, and points `current` at it. Returns its version, or null if there was nothing to do.
   */
  adopt(signal: AbortSignal): Promise<string | null>;
  /**
   * Makes the release in the staging directory (download, verify, unpack), then publishes it by one rename. A complete
   * release with the same digests is kept as it is. With `fresh` it is made again or, if it is in use, its files are
   * verified: files in use must not be replaced. For a deb, also checks its dependencies and that a rollback is
   * possible. Returns the number of bytes downloaded.
   * @throws NO_SPACE, ARTIFACT_*, DOWNLOAD_FAILED, ARCHIVE_UNSAFE, PACKAGE_INVALID, RELEASE_CONFLICT, DEPENDENCY_UNMET,
   * UNDO_IMPOSSIBLE.
   */
  prepare(
    order: { service: string; version: string; artifacts: readonly Artifact[]; fresh: boolean },
    note: (text: string) => void,
    signal: AbortSignal,
  ): Promise<{ downloaded: number }>;
  /**
   * Points `current` at a complete release; for null, removes `current`. Durable and idempotent. The switch of a link
   * is atomic; an interrupted run of dpkg is resumed by the next call.
   * @throws RELEASE_INCOMPLETE if the release is missing or incomplete; DPKG_LOCKED, DPKG_FAILED.
   */
  switchTo(version: string | null, change: Change): Promise<void>;
  /** Called as the last work of a deployment. @throws if another program (the self-update guard) undid the switch. */
  commit?(): Promise<void>;
  /**
   * Removes the oldest releases beyond the configured number. Never removes one of `keep`, the current one, or the three
   * newest others whose files a process has open. Nor one after `signal` aborted. What is removed, and what a killed agent left in
   * the staging directory, is deleted in the background. Returns the removed versions.
   */
  prune(keep: ReadonlySet<string>, signal?: AbortSignal): Promise<string[]>;
  /**
   * What the processes show of the versions: `version` is the one that should run. `before` has the ids of processes
   * that started before the switch. Undefined for a type whose processes tell nothing. Never throws.
   */
  look?(version: string, processes: readonly ServiceProcess[], before: ReadonlySet<string>): Promise<Look>;
}

/** The fields that every health check has. Its type, in host/services/checks/, has further ones. Times are in ms. */
export interface Check {
  /** The type of the check, as in the config: `http`. */
  kind: string;
  /** How many times in a row it must pass. */
  successes: number;
  /** The time in which the check must pass `successes` times in a row. */
  deadline: number;
  /** The timeout of one try. */
  timeout: number;
}

export interface HealthProbe {
  /** What it checks, for an error message: `GET http://127.0.0.1:8080/health`. */
  describe(check: Check): string;
  /** Tries the check once. An unhealthy service is an answer and not an error. @throws only if `signal` aborts. */
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
  /** After this time, ms, the whole process group gets TERM, and then KILL. */
  timeout: number;
  user?: string | undefined;
  environment: Readonly<Record<string, string>>;
}

export interface HookRunner {
  /** @throws HOOK_FAILED with the captured output as detail. */
  run(hook: Hook, environment: Readonly<Record<string, string>>, signal: AbortSignal): Promise<void>;
}

/** The durable state of one service: the last state appended is the one loaded. */
export interface Journal {
  /**
   * Loads the last intact state. Never throws because of the file's content: a damaged file is copied to `quarantined`.
   * `emptied` is the path of a file that is empty. It differs from a first start, where there is no file.
   */
  load(): Promise<{
    state: ServiceState | undefined;
    quarantined: string | undefined;
    emptied?: string | undefined;
  }>;
  /** Resolves when the state is on disk (fdatasync). */
  append(state: ServiceState): Promise<void>;
}

export interface Reporter {
  /** Sends a reply to the reply queue in the background, in order, best effort. A lost reply does no harm. */
  progress(reply: Reply, replyTo: string | undefined): void;
  /**
   * Writes a report to the S3 record, and to the reply queue if any. Resolves when the record has it or a newer one.
   */
  deliver(report: Report, replyTo: string | undefined, signal: AbortSignal): Promise<void>;
  /** Writes `instances/INSTANCE.json` of the record. */
  putInstance(record: InstanceRecord, signal: AbortSignal): Promise<void>;
}

export interface Host {
  /** An id that differs after each boot. */
  bootId(): Promise<string>;
  /** Whether the machine is shutting down: then a failed service says nothing about its version. */
  stopping(signal: AbortSignal): Promise<boolean>;
}

/** The config of one service, as far as the steps need it. Times in ms. */
export interface ServiceConfig {
  name: string;
  checks: readonly Check[];
  watch: number;
  hooks: {
    beforeStop: readonly Hook[];
    afterStart: readonly Hook[];
    /** Run when the end of the instance was announced, after the drain. */
    onTerminate?: readonly Hook[];
  };
  /** Whether reports may contain the output of commands and the end of the service's log. */
  reportLog: boolean;
}

/** The identity of this instance, and the version of its agent. */
export interface Identity {
  env: string;
  instance: string;
  zone: string | undefined;
  /** The tags of the metadata, overridden by those of the config. */
  tags?: Readonly<Record<string, string>> | undefined;
  agentVersion: string;
  /** The ids of the keys that the agent trusts; left out where no signature is checked, and by commands. */
  trusts?: readonly string[] | undefined;
}

/** The log files of one service, for the bucket. */
export interface ServiceLogs {
  /**
   * Uploads what the bucket does not have yet, before the instance ends: the newest first where the time is short.
   * `deadline` is when the time for it is over, on the monotonic clock, ms; `signal` aborts then at the latest.
   * Idempotent: an agent that was killed meanwhile calls it again.
   */
  shipLogs(signal: AbortSignal, deadline: number): Promise<void>;
}

/** Everything the steps of one service need. */
export interface Ports {
  clock: Clock;
  package: PackageType;
  manager: ServiceManager;
  probe: HealthProbe;
  hooks: HookRunner;
  /** Undefined in tests that have no host. */
  readiness?: Readiness | undefined;
  /** Undefined if the config names no target groups. */
  traffic?: Traffic | undefined;
  /** Undefined if the config names no log files. */
  logs?: ServiceLogs | undefined;
  journal: Journal;
  reporter: Reporter;
  desired: DesiredStore;
  host: Host;
}
