import type { ErrorCode } from '../../shared/errors.ts';

/**
 * The hint of each code, for an error that has none of its own, so that every report of a failure says what to do.
 * Undefined for what no deployment ends with, and where there is nothing to do.
 */
export const DEFAULT_HINTS: Readonly<Record<ErrorCode, string | undefined>> = {
  USAGE: undefined,
  CONFIG_INVALID: 'correct agent.yaml on the instance; trigger-deploy-agent check names each mistake',
  KEY_INVALID: 'check the key files of `trust` in agent.yaml; agents need public keys',
  LOCKED: undefined,
  PAUSED: undefined,
  CHANGED: undefined,
  VERSION_EXISTS: undefined,
  VERSION_NOT_FOUND: undefined,
  SERVICE_NOT_FOUND: undefined,
  DEPLOYMENT_NOT_FOUND: undefined,
  NOTHING_TO_ROLL_BACK_TO: undefined,
  INSTANCE_NOT_FOUND: undefined,
  NOT_UNDER_WAY: undefined,
  NOT_PROVEN: undefined,
  NOT_ALLOWED: undefined,
  ALARMS_NOT_OK: undefined,
  SIGNATURE_INVALID:
    'after a rotation of keys, add the new key to `trust` in agent.yaml; otherwise find out who publishes',
  DOCUMENT_INVALID: 'find out who wrote the document; a newer publisher may need newer agents',
  RECORD_DAMAGED: undefined,
  EXPIRED:
    'deploy again; if it happens again, compare the clocks, and see whether the agent gets its messages late',
  CONFLICT: 'trigger-deploy status shows what runs where; deploy again',
  WRONG_ENVIRONMENT: undefined,
  AWS_UNREACHABLE: 'check the network, the proxy and the DNS of the instance, then deploy again',
  AWS_DENIED: 'compare the role of the instance with the policy in docs/GETTING-STARTED.md',
  AWS_REFUSED: 'correct what the message of AWS names: each retry gets the same answer',
  BUCKET_NOT_FOUND: 'check `bucket` in agent.yaml, and the account and region of the instance',
  TOPIC_NOT_FOUND: 'check `topic` in agent.yaml, and the account and region of the instance',
  CONDITION_FAILED: 'deploy again',
  FENCED: undefined,
  NO_SPACE: 'free space on the instance, then deploy again',
  ARTIFACT_NOT_FOUND: 'push the same version again: it uploads what is missing',
  ARTIFACT_SIZE_MISMATCH:
    'push the same version again; if it happens again, find out who writes to the bucket',
  ARTIFACT_DIGEST_MISMATCH: 'find out who changed the file before you continue',
  DOWNLOAD_FAILED: 'deploy again, or wait until the instance converges on the desired state',
  ARCHIVE_UNSAFE: 'build the archive without that entry, and push it as a new version',
  RELEASE_CONFLICT: 'move what is at that path away, then deploy again',
  RELEASE_INCOMPLETE: 'deploy that version again: the agent downloads it anew',
  PACKAGE_INVALID: 'look at the file, build it again, and push it as a new version',
  DEPENDENCY_UNMET: 'install the missing packages, or set `fetchDependencies: true` in agent.yaml',
  PACKAGE_CONFLICT: 'remove or upgrade the other package first, or push both together (`companions`)',
  UNDO_IMPOSSIBLE: 'push the version that runs now, or set `acceptNoUndo: true` in agent.yaml',
  NOT_READY: 'trigger-deploy-agent check on the instance names what is missing; then deploy again',
  HOOK_FAILED: 'the end of its output is in the report; correct the hook or the version, then deploy again',
  TRAFFIC_FAILED:
    'look at the targets of the group in AWS; `drainTimeout` and `healthyTimeout` in agent.yaml limit the wait',
  DPKG_LOCKED: 'end the program that holds the dpkg lock; `lockTimeout` in agent.yaml limits the wait',
  DPKG_FAILED:
    "the end of dpkg's output is in the report; dpkg --audit on the instance shows what is half installed",
  STOP_FAILED:
    'look at the status of the service on the instance; `stopTimeout` in agent.yaml limits the wait',
  START_FAILED:
    'the end of the log of the service is in the report; `startTimeout` in agent.yaml limits the wait',
  CHECK_FAILED:
    'the end of the log of the service is in the report; `deadline` of the check in agent.yaml limits the wait',
  WATCH_FAILED:
    'the end of the log of the service is in the report; `watch` in agent.yaml is the length of the watch period',
  RELEASE_NOT_RUN:
    'let the service start by the path of `current`; the restart must replace every process of it',
  COMMAND_FAILED: 'check the path and the user of the command in agent.yaml, and that it is installed',
  TIMEOUT: 'look at the instance: it may be overloaded; then deploy again',
  CANCELLED: undefined,
  SUPERSEDED: undefined,
  INSTANCE_TERMINATING: undefined,
  INTERRUPTED: undefined,
  RECOVERY_EXHAUSTED: 'find out why the agent dies: journalctl -u trigger-deploy-agent; then deploy again',
  INTERNAL: 'this is a bug of the agent: journalctl -u trigger-deploy-agent shows where',
};
