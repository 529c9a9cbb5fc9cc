import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A file system of its own, a few MB in memory: small enough to run full. */
export interface Tmpfs {
  readonly dir: string;
  /** Changes it in place: `size=64m`, `nr_inodes=500`, `ro`, `rw`. */
  remount(options: string): void;
  /** Another writer takes all the room there is, but for so many bytes, until `makeRoom`. */
  fill(leave?: number): void;
  /** Another writer takes all inodes there are, until `makeRoom`. */
  fillInodes(): void;
  makeRoom(): void;
  /** Free bytes and inodes. */
  free(): { bytes: number; inodes: number };
}

const CHUNK = Buffer.alloc(64 * 1024, 'x');

/** Gone again when the test is over, however it ends. @throws when not root, for whom alone one can mount. */
export function mountTmpfs(dir: string, options: string): Tmpfs {
  if (process.getuid?.() !== 0) {
    throw new Error('this test mounts a small file system of its own: run it as root, as .ci/run does');
  }
  mkdirSync(dir, { recursive: true });
  // By default everyone may write to it, and the agent would not.
  execFileSync('mount', ['-t', 'tmpfs', '-o', `mode=755,${options}`, 'trigger-deploy-test', dir]);
  // Lazily: whatever still runs there does not keep it.
  onTestFinished(() => void execFileSync('umount', ['-l', dir]));
  const filler = join(dir, 'filler');
  const free = () => {
    const { bavail, bsize, ffree } = statfsSync(dir);
    return { bytes: bavail * bsize, inodes: ffree };
  };
  return {
    dir,
    free,
    remount: (changed) => void execFileSync('mount', ['-o', `remount,${changed}`, dir]),

    fill(leave = 0) {
      mkdirSync(filler, { recursive: true });
      const file = openSync(join(filler, 'bytes'), 'a');
      try {
        for (let room = free().bytes - leave; room > 0; room = free().bytes - leave) {
          writeSync(file, CHUNK, 0, Math.min(room, CHUNK.length));
        }
      } finally {
        closeSync(file);
      }
    },

    fillInodes() {
      mkdirSync(filler, { recursive: true });
      for (let n = 0; free().inodes > 0; n += 1) closeSync(openSync(join(filler, `inode-${n}`), 'w'));
    },

    makeRoom: () => rmSync(filler, { recursive: true, force: true }),
  };
}
