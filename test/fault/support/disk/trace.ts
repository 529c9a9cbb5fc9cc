import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/**
 * What a program really does to the file system: its system calls, in the order in which the kernel saw them,
 * with the bytes that were written. strace(1) writes them down; no line of the program knows of it.
 */
export type Op = {
  /** When the call began and when it ended: positions in one order of events. */
  begin: number;
  end: number;
} & Call;

type Call =
  | {
      op: 'open';
      fd: number;
      path: string;
      create: boolean;
      truncate: boolean;
      append: boolean;
      mode: number;
    }
  | { op: 'chmod'; fd: number; mode: number }
  | { op: 'close' | 'fsync'; fd: number }
  | { op: 'write'; fd: number; data: Buffer; at: number | undefined }
  | { op: 'copy'; from: number; at: number | undefined; to: number; length: number }
  | { op: 'truncate'; fd: number; length: number }
  | { op: 'mkdir' | 'unlink' | 'rmdir' | 'syncfs'; path: string }
  | { op: 'rename' | 'link'; from: string; to: string }
  | { op: 'symlink'; target: string; path: string }
  | { op: 'mark'; text: string };

/** A traced program says where it is by writing such a line to its stdout. */
export const MARK = 'MARK ';
const STDOUT = 1;
const TRACED = [
  'open,openat,openat2,creat,close,write,pwrite64,writev,pwritev,pwritev2,sendfile,copy_file_range',
  'ftruncate,truncate,fallocate,fchmod,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,link,linkat',
  'symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,dup,dup2,dup3,mknod,mknodat,ioctl,syncfs,execve',
].join(',');

/** Runs `argv` under this Node and strace, to its end. @throws when there is no strace, or the program fails. */
export async function traceProgram(argv: readonly string[]): Promise<Op[]> {
  const directory = await mkdtemp(join(tmpdir(), 'td-trace-'));
  const file = join(directory, 'calls');
  const names = TRACED.split(',').map((name) => `?${name}`);
  const options = ['-f', '--seccomp-bpf', '-qq', '-xx', '-s', '4000000', '-e', 'signal=none', '-o', file];
  try {
    await promisify(execFile)(
      'strace',
      [...options, '-e', `trace=${names.join(',')}`, process.execPath, ...argv],
      // Calls that go through io_uring are not seen by strace.
      { env: { ...process.env, UV_USE_IO_URING: '0', NODE_OPTIONS: '' }, maxBuffer: 64 * 1024 * 1024 },
    );
    return parseTrace(await readFile(file, 'latin1'));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new Error('this test records system calls and needs strace: apt-get install strace', {
        cause: error,
      });
    }
    throw error;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The calls of a trace that succeeded, in the order of their ends. */
function parseTrace(text: string): Op[] {
  const open = new Map<string, { begin: number; head: string }>();
  const ops: Op[] = [];
  const children = childrenIn(text);
  /** What sync(1) has opened: one process at a time. */
  const opened = new Map<number, string>();
  const ownFiles = new Map<number, string>();
  for (const [position, line] of text.split('\n').entries()) {
    const [, pid = '', rest = ''] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    const unfinished = / ?<unfinished \.\.\.>$/;
    if (unfinished.test(rest)) {
      open.set(pid, { begin: position, head: rest.replace(unfinished, '') });
      continue;
    }
    const [, tail] = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest) ?? [];
    const began = tail === undefined ? undefined : open.get(pid);
    const whole = began ? began.head + tail : rest;
    const [, name, args, result] = /^(\w+)\((.*)\)\s+= (-?\d+|\?)/.exec(whole) ?? [];
    if (name === undefined || args === undefined || Number(result) < 0 || result === '?') continue;
    const call = children.has(pid)
      ? callOfChild(name, args, Number(result), opened)
      : callOf(name, args, Number(result), ownFiles);
    if (call?.op === 'open') ownFiles.set(call.fd, call.path);
    if (call) ops.push({ ...call, begin: began?.begin ?? position, end: position });
  }
  return ops;
}

/** The processes that the program started: those that execute another program. */
function childrenIn(text: string): Set<string> {
  const executing = [...text.matchAll(/^(\d+)\s+execve\(/gm)].map(([, pid = '']) => pid);
  const [program, ...children] = executing;
  return new Set(children.filter((pid) => pid !== program));
}

/** A child has file numbers of its own, and changes nothing: only its syncfs counts. */
function callOfChild(
  name: string,
  args: string,
  result: number,
  opened: Map<number, string>,
): Call | undefined {
  const list = args.split(', ');
  const path = list.map(pathOf).find((one) => one !== undefined);
  if (name.startsWith('open') && path !== undefined) opened.set(result, path);
  if (name !== 'syncfs') return undefined;
  return { op: 'syncfs', path: absolute(opened.get(Number(list[0])) ?? '') };
}

/** Arguments are hex strings, numbers and flags: none of them holds a comma followed by a space. */
function callOf(
  name: string,
  args: string,
  result: number,
  ownFiles: ReadonlyMap<number, string>,
): Call | undefined {
  const list = args.split(', ');
  // Of `…at` calls: no program here uses another directory than the working one, and no relative path.
  const paths = list.flatMap((argument) => pathOf(argument) ?? []).map((path) => placed(path, ownFiles));
  const [first = '', second = ''] = paths;
  const fd = Number(list[0]);
  switch (name) {
    case 'open':
    case 'openat':
    case 'openat2':
    case 'creat': {
      const has = (flag: string) => args.includes(flag) || name === 'creat';
      const flags = {
        create: has('O_CREAT'),
        truncate: has('O_TRUNC'),
        append: args.includes('O_APPEND'),
        mode: Number.parseInt(list.at(-1) ?? '', 8),
      };
      return { op: 'open', fd: result, path: absolute(first, flags.create), ...flags };
    }
    case 'close':
      return { op: 'close', fd };
    case 'fsync':
    case 'fdatasync':
      return { op: 'fsync', fd };
    case 'write':
    case 'pwrite64':
    case 'writev':
    case 'pwritev':
    case 'pwritev2':
      return writeOf(name, args, fd, result);
    case 'sendfile':
      return { op: 'copy', to: fd, from: Number(list[1]), at: offsetOf(list[2]), length: result };
    case 'copy_file_range':
      return { op: 'copy', from: fd, at: offsetOf(list[1]), to: Number(list[2]), length: result };
    case 'ftruncate':
      return { op: 'truncate', fd, length: Number(list[1]) };
    case 'fchmod':
      return { op: 'chmod', fd, mode: Number.parseInt(list[1] ?? '', 8) };
    case 'mkdir':
    case 'mkdirat':
      return { op: 'mkdir', path: absolute(first) };
    case 'rmdir':
      return { op: 'rmdir', path: absolute(first) };
    case 'unlink':
    case 'unlinkat':
      return { op: args.includes('AT_REMOVEDIR') ? 'rmdir' : 'unlink', path: absolute(first) };
    case 'rename':
    case 'renameat':
    case 'renameat2':
      return { op: 'rename', from: absolute(first), to: absolute(second) };
    case 'link':
    case 'linkat':
      return { op: 'link', from: absolute(first), to: absolute(second) };
    case 'symlink':
    case 'symlinkat':
      return { op: 'symlink', target: first, path: absolute(second) };
    case 'execve':
      return undefined;
    case 'ioctl':
      if (args.includes('FICLONE')) throw new Error(`a call that the model does not know: ${name}(${args})`);
      return undefined;
    default:
      throw new Error(`a call that the model does not know: ${name}(${args})`);
  }
}

function writeOf(name: string, args: string, fd: number, length: number): Call {
  const strings = [...args.matchAll(/"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?/g)];
  if (strings.some(([, , cut]) => cut)) throw new Error(`a write was cut short in the trace: ${name}`);
  const data = Buffer.concat(strings.map(([, hex = '']) => bytesOf(hex))).subarray(0, length);
  const text = fd === STDOUT ? data.toString('utf8') : '';
  if (text.startsWith(MARK)) return { op: 'mark', text: text.slice(MARK.length).trimEnd() };
  const [, offset] = /(?:", |\], )\d+, (\d+)/.exec(args) ?? [];
  const at = name.startsWith('p') ? Number(offset) : undefined;
  return { op: 'write', fd, data, at };
}

/** `NULL`, `[0]`, or `[0 => 4096]` where the kernel moved it on. */
function offsetOf(argument = ''): number | undefined {
  const [, offset] = /^\[(\d+)/.exec(argument) ?? [];
  return offset === undefined ? undefined : Number(offset);
}

function pathOf(argument: string): string | undefined {
  const [, hex] = /^"((?:\\x[0-9a-f]{2})*)"$/.exec(argument) ?? [];
  return hex === undefined ? undefined : bytesOf(hex).toString('utf8');
}

/** The path of what the program names by one of its descriptors: `/proc/self/fd/N/name`. */
function placed(path: string, ownFiles: ReadonlyMap<number, string>): string {
  const [, fd, rest = ''] = /^\/proc\/self\/fd\/(\d+)(\/.*)?$/.exec(path) ?? [];
  if (fd === undefined) return path;
  const directory = ownFiles.get(Number(fd));
  if (directory === undefined) throw new Error(`the trace is not whole: nothing opened ${path}`);
  return directory === '/' ? rest || '/' : directory + rest;
}

function absolute(path: string, changing = true): string {
  if (changing && !path.startsWith('/')) throw new Error(`a relative path, which cannot be placed: ${path}`);
  return path;
}

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll('\\x', ''), 'hex');
}
