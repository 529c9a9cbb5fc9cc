import { asTriggerDeployError, type ErrorCode, messageOf } from '../../shared/errors.ts';
import type { ExitCode } from '../events.ts';
import { jsonLine } from '../render/json.ts';
import { oneLine, tailLines } from '../render/text.ts';

/** An error as an exit code, as lines for a person, or as a JSON line. */

/**
 * The exit code of each error. 1: failed. 2: the command line, a config file or a key is wrong. 3: AWS or an instance
 * did not answer in time. 4: refused.
 */
const EXIT = {
  USAGE: 2,
  CONFIG_INVALID: 2,
  KEY_INVALID: 2,
  BUCKET_NOT_FOUND: 2,
  TOPIC_NOT_FOUND: 2,
  LOCKED: 4,
  PAUSED: 4,
  CHANGED: 4,
  VERSION_EXISTS: 4,
  VERSION_NOT_FOUND: 4,
  SERVICE_NOT_FOUND: 4,
  DEPLOYMENT_NOT_FOUND: 4,
  NOTHING_TO_ROLL_BACK_TO: 4,
  INSTANCE_NOT_FOUND: 4,
  NOT_UNDER_WAY: 4,
  NOT_PROVEN: 4,
  ALARMS_NOT_OK: 4,
  NOT_ALLOWED: 4,
  SIGNATURE_INVALID: 4,
  DOCUMENT_INVALID: 4,
  RECORD_DAMAGED: 4,
  AWS_DENIED: 4,
  AWS_REFUSED: 4,
  FENCED: 4,
  WRONG_ENVIRONMENT: 4,
  CONFLICT: 4,
  AWS_UNREACHABLE: 3,
  TIMEOUT: 3,
  EXPIRED: 3,
  CONDITION_FAILED: 1,
  NO_SPACE: 1,
  ARTIFACT_NOT_FOUND: 1,
  ARTIFACT_SIZE_MISMATCH: 1,
  ARTIFACT_DIGEST_MISMATCH: 1,
  DOWNLOAD_FAILED: 1,
  ARCHIVE_UNSAFE: 1,
  RELEASE_CONFLICT: 1,
  RELEASE_INCOMPLETE: 1,
  PACKAGE_INVALID: 1,
  DEPENDENCY_UNMET: 1,
  PACKAGE_CONFLICT: 1,
  UNDO_IMPOSSIBLE: 1,
  NOT_READY: 1,
  HOOK_FAILED: 1,
  TRAFFIC_FAILED: 1,
  DPKG_LOCKED: 1,
  DPKG_FAILED: 1,
  STOP_FAILED: 1,
  START_FAILED: 1,
  CHECK_FAILED: 1,
  WATCH_FAILED: 1,
  RELEASE_NOT_RUN: 1,
  COMMAND_FAILED: 1,
  CANCELLED: 1,
  SUPERSEDED: 1,
  INSTANCE_TERMINATING: 1,
  INTERRUPTED: 1,
  RECOVERY_EXHAUSTED: 1,
  INTERNAL: 1,
} as const satisfies Record<ErrorCode, ExitCode>;

export function exitCodeOf(error: unknown): ExitCode {
  return EXIT[asTriggerDeployError(error).code];
}

/** The error as lines: message, evidence and hint; with `verbose` also its code, and each cause with its stack. */
export function errorLines(thrown: unknown, verbose: boolean): string[] {
  const error = asTriggerDeployError(thrown);
  const lines = [`trigger-deploy: ${oneLine(error.message)}`];
  if (error.detail !== undefined) lines.push(...tailLines(error.detail).map((line) => `  ${line}`));
  const unexpected =
    error.code === 'INTERNAL' && !verbose ? 'this is a bug: --verbose shows where' : undefined;
  const hint = error.hint ?? unexpected;
  if (hint !== undefined) lines.push(`  → ${oneLine(hint)}`);
  if (!verbose) return lines;
  lines.push(`  code ${error.code}, exit ${EXIT[error.code]}`);
  for (const cause of causes(error)) {
    const stack = cause instanceof Error && cause.stack ? cause.stack : messageOf(cause);
    lines.push(...tailLines(stack).map((line, i) => (i === 0 ? `  caused by ${line}` : `  ${line}`)));
  }
  return lines;
}

/** The error as one JSON line. `now` is ms since the epoch. */
export function errorJson(thrown: unknown, now: number): string {
  const error = asTriggerDeployError(thrown);
  const { code, message, hint, detail } = error;
  const time = new Date(now).toISOString();
  return jsonLine({ time, type: 'error', code, message, hint, detail, exitCode: EXIT[code] });
}

/** The causes of an error, 10 at most. Each is listed once, because a chain of causes can be circular. */
function causes(error: Error): unknown[] {
  const chain: unknown[] = [];
  for (let next = error.cause; next !== undefined && !chain.includes(next) && chain.length < 10; ) {
    chain.push(next);
    next = next instanceof Error ? next.cause : undefined;
  }
  return chain;
}
