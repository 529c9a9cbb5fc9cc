import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { INPUT } from './reliability-input.ts';

/**
 * The rows of the fault matrix, and how a test records that it proved one. docs/RELIABILITY.md is written from
 * these records (test/support/reliability-doc.ts), so it cannot promise what no test has seen.
 */
export const MATRIX = {
  kill: {
    fault: 'SIGKILL of the agent before, during or after any step, and during recovery',
    promise:
      'the next start resumes or rolls back; the service runs one complete version; one ending is reported.',
  },
  'kill-random': {
    fault: 'SIGKILL from outside at random times',
    promise: 'the same as above.',
  },
  durability: {
    fault: 'Power loss',
    promise:
      'what a rename publishes is synced to disk before the rename; the rename is synced right after it.',
  },
  'hostile-bucket': {
    fault:
      'A person who may write to the bucket replaces objects, one at a time and in pairs, before and during each command',
    promise:
      'no agent runs what was not signed for it; no gate opens without a decision; the command ends with one clear error or a success; once the bucket is set right, the next deployment succeeds.',
  },
  'hostile-instance': {
    fault:
      'A person with the role of one instance writes everything it may: reports, records, answers, floods, in its own name and in others',
    promise:
      'it changes what is said of its own instance, and nothing else; no honest instance leaves the fleet, no ghost is waited for, each command ends in time.',
  },
  'power-loss': {
    fault: 'Power loss at each point; writes that were not synced are lost',
    promise: '`current` points at a complete release and the journal opens.',
  },
  'disk-full': {
    fault: 'Disk full in staging, journal or service directory',
    promise:
      'the deployment is refused before anything stops; the old version is untouched; the space is freed; deployments work again once there is room.',
  },
  inodes: {
    fault: 'Inodes exhausted, read-only file system',
    promise: 'the same as with a full disk.',
  },
  download: {
    fault: 'A download is truncated, corrupt, endless or slow; 503; the connection is reset',
    promise:
      'the download stops at the signed size, resumes by range, and counts only with the right sha256; otherwise `failed` with nothing changed.',
  },
  duplicate: {
    fault: 'A duplicate announcement, also during a deployment; redelivery after a crash',
    promise: 'one deployment, the same report.',
  },
  order: {
    fault: 'A reordered, replayed or expired announcement',
    promise: '`superseded` or `rejected`, also after restarts; the highest valid sequence wins.',
  },
  forged: {
    fault:
      'A forged announcement: wrong key, `alg: none`, key confusion, one altered byte, another environment',
    promise: 'it is refused, logged and deleted; the agent continues.',
  },
  poison: {
    fault: 'Poison messages: not JSON, huge, deeply nested, wrong types',
    promise: 'the same as above, and memory use stays flat.',
  },
  'queue-gone': {
    fault: 'The queue, the subscription or the topic is deleted while the agent runs',
    promise: 'the agent creates it again after the time that AWS requires, then reads the desired state.',
  },
  outage: {
    fault: 'AWS does not answer for minutes, credentials expire, the endpoint refuses connections',
    promise:
      'the service is not affected; the agent recovers by itself; what was announced in the meantime arrives.',
  },
  'lost-answer': {
    fault: 'A write succeeds but its answer is lost',
    promise: 'the writer recognises its own write; nothing is done twice.',
  },
  clock: {
    fault: 'The clock is wrong by an hour',
    promise: 'expiry is decided by AWS’s clock.',
  },
  restart: {
    fault: 'The agent is stopped or restarted during a deployment',
    promise: 'the agent saves a checkpoint and continues from it; two copies of a hook never run.',
  },
  'crash-loop': {
    fault: 'The service crashes after its health check passed',
    promise: 'the watch period detects it and the instance rolls back.',
  },
  'stop-hangs': {
    fault: 'The stop hangs, SIGTERM is ignored, the start hangs',
    promise: 'the wait has a limit; after it, SIGKILL or rollback.',
  },
  health: {
    fault:
      'The health check flaps, redirects, is slow or late, has the wrong body, or another program has the port',
    promise:
      'the check passes only after enough right answers in a row within the deadline; a single 5xx decides nothing.',
  },
  broken: {
    fault: 'The rollback fails as well',
    promise: 'one `broken` ending, reported as an error; no retry loop.',
  },
  archive: {
    fault:
      'An archive with `../`, absolute names, links that leave it, devices, setuid files, a bomb, duplicates',
    promise: 'the whole archive is refused before anything is switched.',
  },
  'archive-bytes': {
    fault: 'An archive of any bytes: damaged, cut short, of another format, with entries that come twice',
    promise:
      'the release is what `tar -x` makes of it, or the archive is refused by name; preparing ends, and its memory is bounded.',
  },
  hang: {
    fault:
      'A step hangs: it does not answer an abort (a preparation, a command, a check, AWS, the file system)',
    promise:
      'it is left after seconds, and what it does later changes nothing; a newer announcement, a cancel, a rollback and a local order win; a stop ends with exit code 0.',
  },
  again: {
    fault: 'A deployment that ends the agent again and again',
    promise: 'it is refused (`RECOVERY_EXHAUSTED`) or rolled back; restarts by an operator do not count.',
  },
  leftovers: {
    fault: 'Something that was left behind cannot be removed',
    promise: 'it is logged once and stepped over; deployments go on.',
  },
  'two-agents': {
    fault: 'A second agent is started with the same state directory',
    promise: 'it is refused with the pid of the first; the lock of a dead agent is taken over.',
  },
  symlink: {
    fault: 'A symbolic link is planted in staging or in the service directory',
    promise: 'the agent does not follow it.',
  },
  retry: {
    fault: 'A retry after a failure',
    promise: 'the version is installed again.',
  },
  prune: {
    fault: 'Old releases are pruned',
    promise:
      'the current, the last good and the previous good release stay, and every release that a live process has open.',
  },
  'way-back': {
    fault:
      '`current` is a directory or a link elsewhere, or points at a release that is incomplete or has lost files',
    promise:
      'a deployment is refused before anything stops, and `check` says the same; `adopt` takes over what another tool left.',
  },
  'state-files': {
    fault: 'The journal is truncated or corrupted at every byte',
    promise:
      'the last whole record counts; the rest is moved aside and named; the agent starts and converges.',
  },
  'report-lost': {
    fault: 'A report cannot be sent, the reply queue is gone, the publisher is dead',
    promise: 'the ending waits in the outbox; nothing rolls back because of it.',
  },
  clone: {
    fault: 'An image is made of a running instance',
    promise: 'the agent notices the other instance id, keeps the releases, resets the rest, and converges.',
  },
  'instance-end': {
    fault: 'The instance is to be terminated (spot, Auto Scaling), and its agent is killed meanwhile',
    promise:
      'the next agent continues: hooks that ended do not run again, the queue is gone, the group goes on; no rollout waits.',
  },
  launch: {
    fault: 'An agent is killed while the launch of its instance waits',
    promise: 'the launch is completed only once all services run what they should, and are healthy.',
  },
  image: {
    fault: 'An instance starts from an image in which versions are prepared',
    promise: 'it downloads what the image lacks, and nothing else.',
  },
  late: {
    fault: 'The instance boots after the announcement, or sleeps through it',
    promise: 'it converges by itself.',
  },
  reboot: {
    fault: '`systemctl reboot` during a deployment: units stop while the agent works',
    promise:
      'the stopped units decide nothing; after the boot the deployment continues with new checks; one ending.',
  },
  'self-update': {
    fault: 'The agent deploys its own new version, which crashes, hangs, or cannot reach AWS',
    promise:
      'a systemd unit restores the old version, which reports `rolled-back`; services are not affected.',
  },
  'power-off': {
    fault: 'An instance loses power at a random point of a deployment',
    promise:
      'after the boot the service runs the complete old or new version; one ending per deployment; the last good release is there.',
  },
  dpkg: {
    fault:
      'dpkg is locked, killed or fails; a dependency is missing; the package was installed by other means',
    promise:
      'the deployment is refused before anything stops, waits, resumes, or restores the old .deb; the package is never left half installed.',
  },
  reexec: {
    fault: 'systemd executes itself anew (`systemctl daemon-reexec`) and cuts every connection to it',
    promise:
      'a call without an answer is repeated for 30 s and decides nothing; the unit and the database of dpkg tell what was done; no failed unit is left.',
  },
  unit: {
    fault:
      'The unit is masked, missing or badly written, refuses a restart, or is started by a socket, a path or a timer; a program or a user of the config is missing',
    promise:
      'what prevents a restart is refused before anything stops; units that start the service are reset, stopped and started with it.',
  },
  traffic: {
    fault:
      'Requests through a load balancer during a rolling deployment, a canary that rolls back, a bad version',
    promise: 'with a drain before the stop and an undrain after the checks, no request fails.',
  },
  'publisher-killed': {
    fault: 'The publisher is killed at any point of a push, a deployment or a rollback',
    promise: 'record, lock and desired state stay consistent; the next command continues from them.',
  },
  'two-publishers': {
    fault: 'Two publishers at the same time',
    promise:
      'one holds the lock; no sequence number is used twice; deployments of different services do not affect each other.',
  },
  memory: {
    fault: 'A large artifact, and many deployments, in little memory',
    promise: 'what is downloaded is not kept: the memory of the agent stays flat, and no limit ends it.',
  },
  many: {
    fault: 'Fifty announcements in a second, thousands of hostile messages',
    promise: 'nothing is lost, memory is bounded, the newest announcement wins.',
  },
  ...INPUT,
} as const satisfies Record<string, { fault: string; promise: string }>;

export type Row = keyof typeof MATRIX;

export interface Proof {
  row: Row;
  /** The test file, or the command, that caused the fault. */
  provenBy: string;
  figure: string;
}

/** The directory in which the tests of one run record what they proved. */
export const PROOFS = join('node_modules', '.cache', 'trigger-deploy', 'proofs');

/** Called at the end of a test: it proved `row`. `figure` is what it saw, in a few words: `412 kill points`. */
export function proved(row: Row, figure: string): void {
  const { testPath = '', currentTestName = '' } = expect.getState();
  const proof: Proof = { row, provenBy: testPath.slice(testPath.lastIndexOf('/test/') + 1), figure };
  mkdirSync(PROOFS, { recursive: true });
  const name = `${proof.provenBy}-${currentTestName}--${row}`.replaceAll(/[^A-Za-z0-9]+/g, '-');
  // A file name has a length limit, and the end of the name is the part that differs.
  writeFileSync(join(PROOFS, `${name.slice(-190)}.json`), JSON.stringify(proof));
}
