import { ago } from '../../shared/duration.ts';
import { isEnding } from '../../shared/states.ts';
import type { StatusAnswer } from '../commands/status.ts';
import type { InstanceStatus } from '../rollout/fleet-status.ts';
import type { ServiceOwner, ServiceStatus, WaitingPublisher } from '../rollout/service-status.ts';
import type { Page } from './page.ts';
import { aligned, oneLine, plain, type Span } from './text.ts';
import { styleOf } from './words.ts';

/** The instances of each service, as a table for a terminal or a line each for a pipe. Pure. */

export function statusTable(answer: StatusAnswer, page: Page): string[] {
  if (answer.services.length === 0) return [`nothing is deployed in ${answer.env} yet`];
  return answer.services.flatMap((service, i) => {
    const rows = service.instances.map((one) => statusCells(one, answer.at));
    const lines = rows.length > 0 ? aligned(rows, page) : ['  no known instance'];
    const heading = page.paint(
      'strong',
      `${service.service} in ${answer.env} · ${desiredText(service, answer.at)}`,
    );
    const failures = service.instances.flatMap((one) => failureBlock(one, page));
    const below = failures.length > 0 ? ['', ...failures] : [];
    const counts = ['', `  ${statusCounts(service)}`, ...driftHint(answer.env, service)];
    const busy = busyLines(service, answer.at).map((text) => page.paint('warn', `  ${text}`));
    return [...(i > 0 ? [''] : []), heading, ...busy, '', ...lines, ...below, ...counts];
  });
}

/** Who changes the service, and who waits for that, as a line each. */
function busyLines({ owner, queue }: ServiceStatus, now: number): string[] {
  const held = owner === undefined ? [] : [ownerText(owner, now)];
  return [...held, ...queue.map((one, i) => waitingText(one, i, now))];
}

function ownerText({ who, command, deployment, since, beat, stale }: ServiceOwner, now: number): string {
  const gone = stale ? `, last heartbeat ${ago(Date.parse(beat), now)}: the next publisher takes over` : '';
  return `changed by ${oneLine(who)} (${oneLine(command)} ${deployment}), began ${ago(Date.parse(since), now)}${gone}`;
}

function waitingText({ who, command, version, since, jumped }: WaitingPublisher, i: number, now: number) {
  const what = [command, version].filter((one) => one !== undefined).join(' ');
  const why = jumped === undefined ? '' : `, jumped: ${oneLine(jumped)}`;
  return `queue ${i + 1}: ${oneLine(who)} (${oneLine(what)}), since ${ago(Date.parse(since), now)}${why}`;
}

/**
 * What to do about an instance that runs another version and stays there: it has a newer sequence than the desired state,
 * because it got its deployment after the publisher had given up. Nothing while a deployment goes on.
 */
function driftHint(env: string, { service, desired, pause, instances }: ServiceStatus): string[] {
  const isUnderWay = (one: InstanceStatus) => one.state !== undefined && !isEnding(one.state);
  const stays = instances.some((one) => one.drift && !one.pinned);
  if (!desired || pause || !stays || instances.some(isUnderWay)) return [];
  return [
    `  → trigger-deploy ${service} ${desired.version} --env ${env} brings every instance to ${desired.version}`,
  ];
}

/** Why the last deployment failed on the instance, and what to do. */
function failureBlock({ instance, failure }: InstanceStatus, { paint }: Page): string[] {
  if (failure === undefined) return [];
  const { code, message, hint } = failure;
  const why = paint('bad', `  ${instance}: ${oneLine(code)}: ${oneLine(message)}`);
  return hint === undefined ? [why] : [why, `    → ${oneLine(hint)}`];
}

const failureText = ({ failure }: InstanceStatus) =>
  failure && `${failure.code}: ${failure.message}${failure.hint === undefined ? '' : ` → ${failure.hint}`}`;

function desiredText({ desired, trouble, pause: paused }: ServiceStatus, now: number): string {
  const pause = paused ? ` · PAUSED by ${oneLine(paused.by)}: ${oneLine(paused.reason)}` : '';
  if (trouble !== undefined) return `the desired state cannot be read: ${oneLine(trouble)}${pause}`;
  if (!desired) return `no desired version yet${pause}`;
  const since = ago(Date.parse(desired.changedAt), now);
  return `desired ${desired.version} since ${since} by ${oneLine(desired.changedBy)}${pause}`;
}

function statusCells(one: InstanceStatus, now: number): Span[] {
  const look = one.state === undefined ? undefined : styleOf(one.state);
  const flags = [one.drift ? 'DRIFT' : '', one.pinned ? 'PINNED' : '', noticeText(one)]
    .filter(Boolean)
    .join(' ');
  const running = one.active === undefined ? '' : one.active ? 'active' : 'not active';
  return [
    { text: one.instance },
    { text: oneLine(one.zone ?? ''), tone: 'dim' },
    { text: one.version ?? 'none', tone: one.drift ? 'warn' : undefined },
    { text: look ? `${look.glyph} ${one.state}` : '', tone: look?.tone },
    { text: running, tone: one.active === false ? 'bad' : undefined },
    { text: flags, tone: 'warn' },
    { text: `agent ${oneLine(one.agentVersion)}`, tone: 'dim' },
    one.answered === undefined
      ? { text: `last seen ${ago(Date.parse(one.at), now)}`, tone: 'dim' }
      : one.answered
        ? { text: 'answered', tone: 'dim' }
        : { text: `did not answer (last seen ${ago(Date.parse(one.at), now)})`, tone: 'bad' },
  ];
}

/** What was announced about the life of the instance: `TERMINATING (spot-terminate at 2026-11-28T10:02:00Z)`. */
function noticeText({ notice }: InstanceStatus): string {
  if (notice === undefined) return '';
  const at = notice.at === undefined ? '' : ` at ${notice.at.replace(/\.\d+Z$/, 'Z')}`;
  const what = `${oneLine(notice.kind)}${at}`;
  return notice.terminating ? `TERMINATING (${what})` : `notice: ${what}`;
}

function statusCounts({ instances }: ServiceStatus): string {
  const count = (what: (one: InstanceStatus) => boolean) => instances.filter(what).length;
  const parts = [`${instances.length} ${instances.length === 1 ? 'instance' : 'instances'}`];
  const add = (number: number, text: string) => number > 0 && parts.push(`${number} ${text}`);
  add(
    count((one) => one.drift),
    'with another version',
  );
  add(
    count((one) => one.pinned),
    'pinned',
  );
  add(
    count((one) => one.notice?.terminating === true),
    'being terminated',
  );
  add(
    count((one) => one.active === false),
    'not active',
  );
  add(
    count((one) => one.answered === false),
    'did not answer',
  );
  return parts.join(' · ');
}

/** `payments i-0a1b2c3d 1.4.2 desired 1.4.2 succeeded active agent 0.1.0 answered`. */
export function statusLines(answer: StatusAnswer): string[] {
  if (answer.services.length === 0) return statusTable(answer, { columns: 80, paint: plain });
  return answer.services.flatMap((one) => {
    const busy = busyLines(one, answer.at).map((text) => `${one.service} ${text}`);
    return [...instanceLines(one), ...busy];
  });
}

function instanceLines({ service, desired, trouble, pause, instances }: ServiceStatus): string[] {
  const wanted = trouble === undefined ? (desired?.version ?? 'none') : 'unreadable';
  const paused = pause ? 'PAUSED' : '';
  if (instances.length === 0) {
    return [[`${service} no known instance, desired ${wanted}`, paused].filter(Boolean).join(' ')];
  }
  return instances.map((one) => {
    const asked = one.answered === undefined ? '' : 'did not answer, ';
    const seen = one.answered ? 'answered' : `${asked}last seen ${one.at}`;
    const parts = [service, one.instance, one.version ?? 'none', `desired ${wanted}`, one.state ?? ''];
    parts.push(one.active === undefined ? '' : one.active ? 'active' : 'inactive');
    parts.push(one.drift ? 'DRIFT' : '', one.pinned ? 'PINNED' : '', noticeText(one), paused);
    parts.push(`agent ${oneLine(one.agentVersion)}`, seen, oneLine(failureText(one) ?? ''));
    return parts.filter(Boolean).join(' ');
  });
}
