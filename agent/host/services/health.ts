import { type ClientRequest, get as httpGet, type IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import { connect } from 'node:net';
import { messageOf } from '../../../shared/errors.ts';
import { deadline, formatMs } from '../../../shared/retry.ts';
import type { Check, Expected, HealthProbe } from '../../deploy/ports.ts';
import { systemCode } from '../fs/durable-files.ts';
import { type RunCommand, runCommand } from '../process/run-command.ts';
import { argvFor, parseShow } from './systemd.ts';

/** One try of one health check. Whatever is wrong with the service is a note, never an exception. */

type Of<K extends Check['kind']> = Extract<Check, { kind: K }>;
type Answer = { ok: boolean; note: string };

/** A health page says what it has to say at the start. */
const BODY_LIMIT = 64 * 1024;
const NOTE_LIMIT = 160;

/** `run` runs the commands that are checks. */
export function createHealthProbe(run: RunCommand = runCommand): HealthProbe {
  return {
    async probe(check, expected, signal) {
      signal.throwIfAborted();
      const within = deadline(check.timeout, signal, `the ${check.kind} check`);
      try {
        return await answerOf(check, expected, within.signal, run);
      } catch (error) {
        signal.throwIfAborted();
        return {
          ok: false,
          note: within.expired() ? late(check) : `${check.kind} ${reasonOf(error)}`.slice(0, NOTE_LIMIT),
        };
      } finally {
        within[Symbol.dispose]();
      }
    },
  };
}

function answerOf(check: Check, expected: Expected, signal: AbortSignal, run: RunCommand): Promise<Answer> {
  switch (check.kind) {
    case 'http':
      return http(check, expected, signal);
    case 'tcp':
      return tcp(check, signal);
    case 'command':
      return command(check, expected, signal, run);
    case 'systemd':
      return systemd(check, signal);
  }
}

/** A redirect is an answer like any other: the health of the service, not of where it points. */
async function http(check: Of<'http'>, expected: Expected, signal: AbortSignal): Promise<Answer> {
  const url = new URL(filledIn(check.url, expected));
  const get = url.protocol === 'https:' ? httpsGet : httpGet;
  // No agent: each try is a connection of its own, as a new client's would be.
  const request = get(url, { agent: false, signal, headers: { 'user-agent': 'trigger-deploy' } });
  try {
    const response = await responseOf(request);
    const status = response.statusCode ?? 0;
    if (status !== check.status) return { ok: false, note: `http ${status}` };
    if (check.body === undefined) return { ok: true, note: `http ${status}` };
    const wanted = filledIn(check.body, expected);
    if (await bodyHas(response, wanted)) return { ok: true, note: `http ${status}` };
    return { ok: false, note: `http ${status} without ${wanted.slice(0, 80)}` };
  } finally {
    request.destroy();
  }
}

function responseOf(request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve);
    // Kept for good: a connection that breaks after the answer is not an unhandled error.
    request.on('error', reject);
  });
}

/** Reads no further than it has to: a body without end is as good as what it begins with. */
async function bodyHas(response: IncomingMessage, wanted: string): Promise<boolean> {
  let body = Buffer.alloc(0);
  for await (const chunk of response as AsyncIterable<Buffer>) {
    body = Buffer.concat([body, chunk]).subarray(0, BODY_LIMIT);
    if (body.includes(wanted)) return true;
    if (body.length >= BODY_LIMIT) return false;
  }
  return false;
}

function tcp(check: Of<'tcp'>, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: check.host, port: check.port, signal });
    socket.once('connect', () => {
      socket.destroy();
      resolve({ ok: true, note: 'tcp open' });
    });
    socket.on('error', reject);
  });
}

async function command(
  check: Of<'command'>,
  expected: Expected,
  signal: AbortSignal,
  run: RunCommand,
): Promise<Answer> {
  const argv = check.run.map((word) => filledIn(word, expected));
  const { exitCode } = await run(argv, {
    signal,
    // The deadline's signal ends it: this bound is only never the first.
    timeout: 2 * check.timeout + 1000,
    killAfter: 1000,
    user: check.user,
    env: expected.environment,
  });
  if (exitCode === null) return { ok: false, note: 'command ended by a signal' };
  return { ok: exitCode === 0, note: `command exit ${exitCode}` };
}

async function systemd(check: Of<'systemd'>, signal: AbortSignal): Promise<Answer> {
  const { exitCode, stdout } = await runCommand(argvFor.show(check.unit), {
    signal,
    timeout: 2 * check.timeout + 1000,
    killAfter: 1000,
  });
  if (exitCode !== 0) return { ok: false, note: 'systemd does not answer' };
  const { active, sub } = parseShow(stdout);
  return { ok: active === 'active', note: `systemd ${active} (${sub})` };
}

function filledIn(text: string, { service, version }: Pick<Expected, 'service' | 'version'>): string {
  return text.replaceAll('{version}', () => version).replaceAll('{service}', () => service);
}

function late(check: Check): string {
  return `${check.kind} no answer within ${formatMs(check.timeout).replace('.0 s', ' s')}`;
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection reset',
  ENOTFOUND: 'host not found',
  EAI_AGAIN: 'host not found',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
};

/** `localhost` is tried on IPv6 and IPv4: when both fail, the error holds one for each. */
function reasonOf(error: unknown): string {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  const code = systemCode(first);
  return (code && REASONS[code]) || messageOf(first) || code || 'failed';
}
