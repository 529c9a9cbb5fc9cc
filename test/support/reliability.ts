import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';

/**
 * The rows of the fault matrix, and how a test says that it proved one. docs/RELIABILITY.md is written from
 * what the tests said (test/support/reliability-doc.ts), so that it cannot promise what no test has seen.
 */
export const MATRIX = {
  kill: {
    fault: 'SIGKILL of the agent before, during or after any step, also while recovering',
    promise:
      'The next start resumes or rolls back; the service runs one whole version; one ending is reported.',
  },
  'kill-random': {
    fault: 'SIGKILL from outside at random times',
    promise: 'The same, wherever it hits.',
  },
  durability: {
    fault: 'Power loss',
    promise: 'What a rename publishes is on disk before it, and the rename itself right after it.',
  },
  'power-loss': {
    fault: 'Power loss at each point, un-synced writes forgotten',
    promise: '`current` points at a complete release and the journal opens.',
  },
  'disk-full': {
    fault: 'Disk full in staging, journal or service directory',
    promise:
      'Refused before anything stops, the old version untouched, space given back, works again with room.',
  },
  inodes: {
    fault: 'Inodes exhausted, read-only file system',
    promise: 'As with a full disk.',
  },
  download: {
    fault: 'Truncated, corrupt, endless or slow body; 503; connection reset mid-body',
    promise:
      'Stopped at the signed size, resumed by range, believed by sha256 only; else `failed`, nothing changed.',
  },
  duplicate: {
    fault: 'Duplicate announcement, also mid-deploy; redelivery after a crash',
    promise: 'One deployment, the same report.',
  },
  order: {
    fault: 'Reordered, replayed or expired announcement',
    promise: '`superseded` or `rejected`, also after restarts; the highest valid sequence wins.',
  },
  forged: {
    fault: 'Forged, wrong key, `alg: none`, key confusion, one altered byte, other environment',
    promise: 'Refused, logged, deleted; the loop goes on.',
  },
  poison: {
    fault: 'Poison messages: not JSON, huge, deep, wrong types',
    promise: 'As above, and memory stays flat.',
  },
  'queue-gone': {
    fault: 'Queue, subscription or topic deleted under the agent',
    promise: 'Made again after the time AWS asks for, then the desired state is read.',
  },
  outage: {
    fault: 'AWS away for minutes, credentials expired, endpoint refuses',
    promise: 'The service never notices; the agent recovers by itself; what was announced meanwhile arrives.',
  },
  'lost-answer': {
    fault: 'A write succeeds and its answer is lost',
    promise: 'Recognised as one’s own; nothing is done twice.',
  },
  clock: {
    fault: 'Clock an hour off',
    promise: 'Expiry is judged by AWS’s clock.',
  },
  restart: {
    fault: 'Agent stopped or restarted mid-deploy',
    promise: 'A checkpoint, then it goes on; never two copies of a hook.',
  },
  'crash-loop': {
    fault: 'Service crashes after its health check passed',
    promise: 'The watch period sees it and rolls back.',
  },
  'stop-hangs': {
    fault: 'Stop hangs, TERM is ignored, start hangs',
    promise: 'Bounded, then KILL or rollback.',
  },
  health: {
    fault: 'Health flapping, redirecting, slow, wrong body, late, port taken by another',
    promise: 'Passes only if right often enough in a row in time; a single 5xx is no verdict.',
  },
  broken: {
    fault: 'The rollback fails as well',
    promise: '`broken`, once, loudly; no loop.',
  },
  archive: {
    fault: 'Archives with `../`, absolute names, leaving links, devices, setuid, bombs, duplicates',
    promise: 'Refused whole before anything is switched.',
  },
  symlink: {
    fault: 'A symbolic link planted in staging or in the service directory',
    promise: 'Not followed.',
  },
  retry: {
    fault: 'Retry after a failure',
    promise: 'Really installs again.',
  },
  prune: {
    fault: 'Pruning',
    promise: 'Never current, last-good, previous-good, or what a live process has open.',
  },
  'state-files': {
    fault: 'Journal truncated or corrupted at every byte',
    promise: 'The last whole record wins; the rest is set aside and named; the agent starts and converges.',
  },
  'report-lost': {
    fault: 'Report cannot be sent, reply queue gone, publisher dead',
    promise: 'The ending waits in the outbox; never a rollback for it.',
  },
  clone: {
    fault: 'An image made of a running instance',
    promise: 'The other instance id is noticed: releases kept, the rest reset, converged.',
  },
  late: {
    fault: 'Booted after the announcement, or asleep through it',
    promise: 'Converges by itself.',
  },
  reboot: {
    fault: '`systemctl reboot` in mid-deploy: units go down under the agent',
    promise: 'No verdict from it; after the boot it goes on, with a fresh check; one ending.',
  },
  'self-update': {
    fault: 'The agent deploys its own new version, which crashes, hangs, or reaches nothing',
    promise:
      'systemd itself puts the old one back, and that one reports `rolled-back`; services never notice.',
  },
  'power-off': {
    fault: 'The plug of an instance pulled at a random point of a deployment',
    promise:
      'After the boot the service runs old or new, whole; one ending per deployment; last-good is there.',
  },
  dpkg: {
    fault: 'dpkg locked, killed, or failing; a missing dependency; installed by other means',
    promise:
      'Refused before anything stops, waited for, taken up again, or the old .deb back; never half of it.',
  },
  traffic: {
    fault: 'Requests all the while, through a load balancer: rolling deploy, canary rolled back, bad version',
    promise: 'With drain before the stop and undrain after the check no request fails.',
  },
  'publisher-killed': {
    fault: 'Publisher killed at any point of push, deploy or rollback',
    promise: 'Record, lock and desired state stay true; the next command finds its way.',
  },
  'two-publishers': {
    fault: 'Two publishers at once',
    promise: 'One holds the lock; no sequence is used twice; different services do not disturb each other.',
  },
  many: {
    fault: 'Fifty announcements in a second, thousands of hostile messages',
    promise: 'Nothing lost, memory bounded, the newest wins.',
  },
} as const satisfies Record<string, { fault: string; promise: string }>;

export type Row = keyof typeof MATRIX;

export interface Proof {
  row: Row;
  /** The file of the test, or the command, that did it. */
  provenBy: string;
  figure: string;
}

/** Where the tests of one run leave what they proved. */
export const PROOFS = join('node_modules', '.cache', 'trigger-deploy', 'proofs');

/**
 * Says, at the end of the test that is running, that it proved `row`; `figure` is what was seen, in a few
 * words: `412 kill points`.
 */
export function proved(row: Row, figure: string): void {
  const { testPath = '', currentTestName = '' } = expect.getState();
  const proof: Proof = { row, provenBy: testPath.slice(testPath.lastIndexOf('/test/') + 1), figure };
  mkdirSync(PROOFS, { recursive: true });
  const name = `${proof.provenBy}-${currentTestName}--${row}`.replaceAll(/[^A-Za-z0-9]+/g, '-');
  // The end tells them apart, and the name of a file has a limit.
  writeFileSync(join(PROOFS, `${name.slice(-190)}.json`), JSON.stringify(proof));
}
