/**
 * The code of every error that this project throws on purpose. It is the same text in logs, in reports and in
 * docs/OPERATIONS.md. A class name is never a code, because a minifier renames classes.
 */
export type ErrorCode =
  // wrong use
  | 'USAGE'
  | 'CONFIG_INVALID'
  | 'KEY_INVALID'
  // refused
  | 'LOCKED'
  | 'PAUSED'
  | 'CHANGED'
  | 'VERSION_EXISTS'
  | 'VERSION_NOT_FOUND'
  | 'SERVICE_NOT_FOUND'
  | 'DEPLOYMENT_NOT_FOUND'
  | 'NOTHING_TO_ROLL_BACK_TO'
  | 'INSTANCE_NOT_FOUND'
  | 'NOT_UNDER_WAY'
  | 'NOT_PROVEN'
  | 'ALARMS_NOT_OK'
  | 'NOT_ALLOWED'
  // trust
  | 'SIGNATURE_INVALID'
  | 'DOCUMENT_INVALID'
  | 'RECORD_DAMAGED'
  // announcements that an agent rejects
  | 'EXPIRED'
  | 'CONFLICT'
  | 'WRONG_ENVIRONMENT'
  // the cloud
  | 'AWS_UNREACHABLE'
  | 'AWS_DENIED'
  | 'AWS_REFUSED'
  | 'BUCKET_NOT_FOUND'
  | 'TOPIC_NOT_FOUND'
  | 'CONDITION_FAILED'
  | 'FENCED'
  // prepare
  | 'NO_SPACE'
  | 'ARTIFACT_NOT_FOUND'
  | 'ARTIFACT_SIZE_MISMATCH'
  | 'ARTIFACT_DIGEST_MISMATCH'
  | 'DOWNLOAD_FAILED'
  | 'ARCHIVE_UNSAFE'
  | 'RELEASE_CONFLICT'
  | 'RELEASE_INCOMPLETE'
  | 'PACKAGE_INVALID'
  | 'DEPENDENCY_UNMET'
  | 'PACKAGE_CONFLICT'
  | 'UNDO_IMPOSSIBLE'
  | 'NOT_READY'
  // switch, start, check
  | 'HOOK_FAILED'
  | 'TRAFFIC_FAILED'
  | 'DPKG_LOCKED'
  | 'DPKG_FAILED'
  | 'STOP_FAILED'
  | 'START_FAILED'
  | 'CHECK_FAILED'
  | 'WATCH_FAILED'
  | 'RELEASE_NOT_RUN'
  // everywhere
  | 'COMMAND_FAILED'
  | 'TIMEOUT'
  | 'CANCELLED'
  | 'SUPERSEDED'
  | 'INSTANCE_TERMINATING'
  | 'INTERRUPTED'
  | 'RECOVERY_EXHAUSTED'
  | 'INTERNAL';

export interface ErrorOptions {
  /** What a person can do about it: one line, shown below the message. */
  hint?: string | undefined;
  /** Evidence too long for a message: the tail of a log, the output of a command. */
  detail?: string | undefined;
  cause?: unknown;
}

/** The only error class of this project. `message` says what happened and why, in one line; `hint` says what to do. */
export class TriggerDeployError extends Error {
  override readonly name = 'TriggerDeployError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly detail: string | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.detail = options.detail;
  }
}

/** Whether `error` is a TriggerDeployError and, if `codes` are given, has one of them. */
export function isCode(error: unknown, ...codes: ErrorCode[]): error is TriggerDeployError {
  return error instanceof TriggerDeployError && (codes.length === 0 || codes.includes(error.code));
}

/** Returns a TriggerDeployError unchanged. Anything else is a bug: it becomes the cause of an `INTERNAL` error. */
export function asTriggerDeployError(error: unknown): TriggerDeployError {
  if (error instanceof TriggerDeployError) return error;
  return new TriggerDeployError('INTERNAL', messageOf(error), { cause: error });
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
