import { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { basename } from 'node:path';

/** What a program asked of its machine. */
export interface Costs {
  fsyncs: number;
  /** The bytes that were written, by the path of the file when they were. */
  written: Record<string, number>;
  /** The programs that were started. */
  processes: string[];
}

/** Counts what this process does from now on. `take` returns what was counted since the last time. */
export async function countCosts(): Promise<{ take(): Costs; stop(): void }> {
  let costs = nothing();
  const handle = await open('/dev/null');
  const files = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();

  const restored: (() => void)[] = [];
  const count = <T extends object, K extends keyof T>(
    target: T,
    name: K,
    note: (args: unknown[], self: unknown) => void,
  ) => {
    const own = target[name];
    restored.push(() => {
      target[name] = own;
    });
    const original = own as (...args: unknown[]) => unknown;
    target[name] = function (this: unknown, ...args: unknown[]) {
      note(args, this);
      return original.apply(this, args);
    } as T[K];
  };
  const add = (path: string, data: unknown, length?: unknown) => {
    const size = typeof data === 'string' ? Buffer.byteLength(data) : (data as Uint8Array).byteLength;
    costs.written[path] = (costs.written[path] ?? 0) + (typeof length === 'number' ? length : size);
  };
  const pathOf = (file: unknown) => fs.readlinkSync(`/proc/self/fd/${(file as FileHandle).fd}`);
  for (const name of ['sync', 'datasync'] as const) {
    count(files, name, () => {
      costs.fsyncs += 1;
    });
  }
  count(files, 'write', ([data, , length], file) => add(pathOf(file), data, length));
  count(files, 'writeFile', ([data], file) => add(pathOf(file), data));
  count(fs, 'writeFileSync', ([path, data]) => add(String(path), data));
  const children = ChildProcess.prototype as unknown as { spawn(options: { file: string }): unknown };
  count(children, 'spawn', ([options]) => {
    costs.processes.push(basename((options as { file: string }).file));
  });
  syncBuiltinESMExports();

  return {
    take() {
      const taken = costs;
      costs = nothing();
      return taken;
    },
    stop() {
      for (const restore of restored) restore();
      syncBuiltinESMExports();
    },
  };
}

const nothing = (): Costs => ({ fsyncs: 0, written: {}, processes: [] });
