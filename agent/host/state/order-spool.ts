import { createHash } from 'node:crypto';
import { constants, type FSWatcher, type Stats, watch } from 'node:fs';
import { type FileHandle, lchown, open, readdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { createClock } from '../../../shared/clock.ts';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { type Artifact, artifact, type GivenFile } from '../../../shared/manifest.ts';
import { instanceId, serviceName, ulid, ulidTime, versionName } from '../../../shared/names.ts';
import { createWakeUp } from '../../../shared/wake-up.ts';
import {
  createNew,
  fsyncDirectory,
  ignoreCode,
  lstatIfAny,
  makeDirectories,
  makeNew,
  readNoFollow,
  writeDurably,
  writeRange,
} from '../fs/durable-files.ts';
import { removeLeftover } from '../fs/leftovers.ts';
import { asNoSpace, assertSpace } from '../fs/space.ts';
import { isOpenToOthers } from '../fs/trusted-path.ts';

/**
 * Local orders, which are given on the instance itself: `STATE/local/ID/order.json`. The files of a deploy order are in
 * `STATE/local/ID/files`. An order is written to a directory with another name, which is renamed when the order is
 * complete and on disk. It stays until the outcome is in the journal, so that an agent finds it again after a kill.
 */

const localOrder = z.object({
  v: z.literal(1),
  deployment: ulid,
  service: serviceName,
  version: versionName,
  action: z.enum(['deploy', 'rollback']),
  /** Deploy: the order's files. Rollback: the artifacts of the release; an adopted release has none. */
  artifacts: z.array(artifact).max(32),
  /** The user who gave the order. */
  by: z.string().max(64),
  at: z.iso.datetime(),
  /** The instance that the order is for, if known: the order must not take effect on a copy of the instance. */
  instance: instanceId.optional(),
});
type LocalOrder = z.infer<typeof localOrder>;

export interface OrderSpool {
  /** Orders that wait or run, the oldest first. @throws PACKAGE_INVALID if other users can write to the directory. */
  pending(): Promise<LocalOrder[]>;
  /** Writes an order and copies its files; on disk when it resolves. @throws NO_SPACE, system errors. */
  give(order: Omit<LocalOrder, 'v' | 'artifacts'>, what: Given): Promise<LocalOrder>;
  /** Removes an order, if it exists. An order that cannot be removed is told, and stays. */
  remove(deployment: string): Promise<void>;
  /** The path of an artifact that came with a waiting order, undefined when there is none. */
  fileOf(service: string, version: string, wanted: Artifact): Promise<string | undefined>;
  /** Resolves when there may be a new order, or after `ms`. @throws the signal's reason. */
  changed(ms: number, signal: AbortSignal): Promise<void>;
  /** The directory of the order. */
  pathOf(deployment: string): string;
}

/** What belongs to an order: files to copy, or the artifacts of a release on this instance. */
export type Given = { files: readonly GivenFile[] } | { artifacts: readonly Artifact[] };

const NEW = '.new-';
const ORDER_LIMIT = 64 * 1024; // bytes
const CHUNK = 1024 * 1024; // bytes
/** When an incomplete order is removed, ms after its creation: the command that wrote it was killed. */
const ABANDONED_AFTER = 60 * 60 * 1000;

/** The spool below `state`, the agent's state directory. */
export function createOrderSpool(state: string): OrderSpool {
  const directory = join(state, 'local');
  const pathOf = (deployment: string) => join(directory, deployment);
  const wakeUp = createWakeUp();
  let watcher: FSWatcher | undefined;

  /** Watches the directory for new orders. Where this fails, the next poll finds them. */
  function listen(): void {
    if (watcher) return;
    try {
      watcher = watch(directory, { persistent: false }, () => wakeUp.wake());
      watcher.on('error', () => {
        watcher?.close();
        watcher = undefined;
      });
    } catch {
      watcher = undefined;
    }
  }

  async function read(name: string): Promise<LocalOrder | undefined> {
    try {
      // While others could write to the spool, one of them may have put it there.
      if (!isPrivate(await lstatIfAny(pathOf(name)))) return undefined;
      const text = await readNoFollow(join(pathOf(name), 'order.json'), ORDER_LIMIT);
      const order = localOrder.parse(JSON.parse(text?.toString('utf8') ?? ''));
      return order.deployment === name ? order : undefined;
    } catch {
      return undefined;
    }
  }

  async function pending(): Promise<LocalOrder[]> {
    const names = await readdir(directory).catch(ignoreCode('ENOENT', undefined));
    if (!names) return [];
    await assertPrivate(directory);
    listen();
    await Promise.all(names.filter(isAbandoned).map((name) => removeLeftover(join(directory, name))));
    const orders = await Promise.all(names.filter(isId).sort().map(read));
    return orders.filter((order) => order !== undefined);
  }

  return {
    pending,
    pathOf,
    remove: async (deployment) => void (await removeLeftover(pathOf(deployment))),

    async give(order, what) {
      await makeDirectories(directory, 0o700);
      const staged = join(directory, NEW + order.deployment);
      const filesDirectory = join(staged, 'files');
      const files = 'files' in what ? what.files : [];
      try {
        // A rollback has no files, and must not need free space.
        if (files.length > 0) {
          const names = files.map(({ name }) => name).join(', ');
          await assertSpace(directory, spaceFor(files), `a copy of ${names}`);
        }
        await makeNew(staged, 0o700);
        await makeNew(filesDirectory, 0o700);
        const artifacts: Artifact[] = 'artifacts' in what ? [...what.artifacts] : [];
        for (const { file, name, role, mode, path } of files) {
          const copied = await copyDurably(file, join(filesDirectory, name));
          artifacts.push({
            ...{ name, role, ...copied },
            ...(mode !== undefined && { mode }),
            ...(path !== undefined && { path }),
          });
        }
        await fsyncDirectory(filesDirectory);
        const whole: LocalOrder = localOrder.parse({ v: 1, ...order, artifacts });
        await writeDurably(join(staged, 'order.json'), `${JSON.stringify(whole, undefined, 2)}\n`);
        await chownToAgent(state, [
          directory,
          staged,
          filesDirectory,
          join(staged, 'order.json'),
          ...files.map(({ name }) => join(filesDirectory, name)),
        ]);
        await rename(staged, pathOf(order.deployment));
        await fsyncDirectory(directory);
        return whole;
      } catch (error) {
        await removeLeftover(staged);
        throw asNoSpace(error, directory);
      }
    },

    async fileOf(service, version, wanted) {
      for (const order of await pending()) {
        const same = order.artifacts.some(
          ({ name, sha256 }) => name === wanted.name && sha256 === wanted.sha256,
        );
        if (!same || order.service !== service || order.version !== version) continue;
        const path = join(pathOf(order.deployment), 'files', wanted.name);
        if ((await lstatIfAny(path))?.isFile()) return path;
      }
      return undefined;
    },

    async changed(ms, signal) {
      await wakeUp.wait(signal, { clock: createClock(Date.now), ms });
      signal.throwIfAborted();
    },
  };
}

const isId = (name: string) => ulid.safeParse(name).success;

function isAbandoned(name: string): boolean {
  const id = name.slice(NEW.length);
  return name.startsWith(NEW) && (!isId(id) || Date.now() - ulidTime(id) > ABANDONED_AFTER);
}

function spaceFor(files: readonly { size: number }[]) {
  return { bytes: files.reduce((sum, { size }) => sum + size, 0), inodes: files.length + 4 };
}

function isPrivate(found: Stats | undefined): boolean {
  return found?.isDirectory() === true && !isOpenToOthers(found);
}

/** @throws PACKAGE_INVALID if users other than root and the agent's can write orders, and so deploy. */
async function assertPrivate(directory: string): Promise<void> {
  if (isPrivate(await lstatIfAny(directory))) return;
  throw new TriggerDeployError(
    'PACKAGE_INVALID',
    `other users can write to ${directory}: orders there are ignored`,
    {
      hint: `rm -r ${directory}; the agent creates it again`,
    },
  );
}

/** Gives the files to the user of the agent, who owns `state`: root may give an order to an agent without root. */
async function chownToAgent(state: string, paths: readonly string[]): Promise<void> {
  const { uid, gid } = await stat(state);
  if (process.getuid?.() !== 0 || uid === 0) return;
  for (const path of paths) await lchown(path, uid, gid);
}

/** Copies a file; on disk when it resolves. Returns size and digest of the bytes that were copied. */
async function copyDurably(from: string, to: string): Promise<{ size: number; sha256: string }> {
  const source = await open(from, constants.O_RDONLY);
  try {
    const target = await createNew(to, 0o600);
    try {
      const copied = await copyBytes(source, target);
      await target.sync();
      return copied;
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

async function copyBytes(source: FileHandle, target: FileHandle): Promise<{ size: number; sha256: string }> {
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(CHUNK);
  for (let size = 0; ; ) {
    const { bytesRead } = await source.read(buffer, 0, CHUNK, size);
    if (bytesRead === 0) return { size, sha256: hash.digest('hex') };
    const bytes = buffer.subarray(0, bytesRead);
    hash.update(bytes);
    await writeRange(target, bytes, size);
    size += bytesRead;
  }
}
