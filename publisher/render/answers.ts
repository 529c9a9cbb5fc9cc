import { formatMs } from '../../shared/retry.ts';
import type { DecisionAnswer } from '../commands/confirm.ts';
import type { KeygenAnswer } from '../commands/keygen.ts';
import type { PauseAnswer } from '../commands/pause.ts';
import type { PlanAnswer } from '../commands/plan.ts';
import type { PushAnswer } from '../commands/push.ts';
import type { InstanceStatus, ServiceStatus, StatusAnswer } from '../commands/status.ts';
import type { PublisherEvent } from '../events.ts';
import { lookOf } from './deployment-table.ts';
import { ago, aligned, bytesText, oneLine, type Paint, plain, type Span } from './text.ts';

/** What the commands that look answer, as text for a terminal or a line a thing for a pipe. Pure. */

export interface Page {
  columns: number;
  paint: Paint;
}

export function statusTable(answer: StatusAnswer, page: Page): string[] {
  if (answer.services.length === 0) return [`nothing was deployed in ${answer.env} yet`];
  return answer.services.flatMap((service, i) => {
    const rows = service.instances.map((one) => statusCells(one, answer.at));
    const lines = rows.length > 0 ? aligned(rows, page) : ['  no instance is known'];
    const heading = page.paint(
      'strong',
      `${service.service} in ${answer.env} · ${desiredText(service, answer.at)}`,
    );
    return [...(i > 0 ? [''] : []), heading, '', ...lines, '', `  ${statusCounts(service)}`];
  });
}

function desiredText({ desired, trouble, pause: paused }: ServiceStatus, now: number): string {
  const pause = paused ? ` · PAUSED by ${oneLine(paused.by)}: ${oneLine(paused.reason)}` : '';
  if (trouble !== undefined) return `the desired state cannot be read: ${oneLine(trouble)}${pause}`;
  if (!desired) return `no version is desired yet${pause}`;
  const since = ago(Date.parse(desired.changedAt), now);
  return `desired ${desired.version} since ${since} by ${oneLine(desired.changedBy)}${pause}`;
}

function statusCells(one: InstanceStatus, now: number): Span[] {
  const look = one.state === undefined ? undefined : lookOf(one.state);
  const flags = [one.drift ? 'DRIFT' : '', one.pinned ? 'PINNED' : ''].filter(Boolean).join(' ');
  const running = one.active === undefined ? '' : one.active ? 'active' : 'not active';
  return [
    { text: one.instance },
    { text: oneLine(one.zone ?? ''), tone: 'dim' },
    { text: one.version ?? 'none', tone: one.drift ? 'warn' : undefined },
    { text: look ? `${look.glyph} ${one.state}` : '', tone: look?.tone },
    { text: running, tone: one.active === false ? 'bad' : undefined },
    { text: flags, tone: 'warn' },
    { text: `agent ${oneLine(one.agentVersion)}`, tone: 'dim' },
    one.answered
      ? { text: 'answered', tone: 'dim' }
      : { text: `did not answer (last seen ${ago(Date.parse(one.at), now)})`, tone: 'bad' },
  ];
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
    count((one) => one.active === false),
    'not active',
  );
  add(
    count((one) => !one.answered),
    'did not answer',
  );
  return parts.join(' · ');
}

/** `payments i-0a1b2c3d 1.4.2 desired 1.4.2 succeeded active agent 0.1.0 answered`. */
export function statusLines(answer: StatusAnswer): string[] {
  if (answer.services.length === 0) return statusTable(answer, { columns: 80, paint: plain });
  return answer.services.flatMap(({ service, desired, trouble, pause, instances }) => {
    const wanted = trouble === undefined ? (desired?.version ?? 'none') : 'unreadable';
    const paused = pause ? 'PAUSED' : '';
    if (instances.length === 0) {
      return [[`${service} no instance is known, desired ${wanted}`, paused].filter(Boolean).join(' ')];
    }
    return instances.map((one) => {
      const seen = one.answered ? 'answered' : `did not answer, last seen ${one.at}`;
      const parts = [service, one.instance, one.version ?? 'none', `desired ${wanted}`, one.state ?? ''];
      parts.push(one.active === undefined ? '' : one.active ? 'active' : 'inactive');
      parts.push(one.drift ? 'DRIFT' : '', one.pinned ? 'PINNED' : '', paused);
      parts.push(`agent ${oneLine(one.agentVersion)}`, seen);
      return parts.filter(Boolean).join(' ');
    });
  });
}

/** The waves of a plan, with what each instance runs now. */
export function planTable(answer: PlanAnswer, page: Page): string[] {
  const { service, version, previous, env, waves } = answer;
  const change = previous === null || previous === version ? version : `${previous} → ${version}`;
  const of = waves.length;
  return [
    page.paint('strong', `${service} ${change} in ${env}: a plan, nothing was changed`),
    ...waves.flatMap((wave, i) => [
      '',
      page.paint('strong', waveText(wave, i + 1, of)),
      ...aligned(
        wave.instances.map((one) => [
          { text: one.instance },
          { text: oneLine(one.zone ?? ''), tone: 'dim' as const },
          { text: one.version ?? 'none' },
        ]),
        page,
      ),
    ]),
    '',
    rulesText(answer),
  ];
}

export function planLines(answer: PlanAnswer): string[] {
  const { service, version, waves } = answer;
  const lines = waves.map((wave, i) => {
    const who = wave.instances.map((one) => one.instance).join(' ');
    return `${service} ${version} ${waveText(wave, i + 1, waves.length)}: ${who}`;
  });
  return [...lines, `${service} ${version} ${rulesText(answer)}`];
}

function waveText(wave: PlanAnswer['waves'][number], number: number, of: number): string {
  const count = `${wave.instances.length} ${wave.instances.length === 1 ? 'instance' : 'instances'}`;
  return wave.kind === 'all' ? `all at once, ${count}` : `wave ${number} of ${of}, ${wave.kind}, ${count}`;
}

function rulesText({ strategy, maxFailures, onFailure, previous, waves }: PlanAnswer): string {
  const rules: string[] = [];
  if (waves.every((wave) => wave.instances.length === 0)) rules.push('no instance is there');
  if (strategy.name === 'rolling') {
    rules.push('all prepare first');
    if (strategy.gate === 'person') rules.push('a person confirms');
    if (strategy.gate === 'time')
      rules.push(`goes on by itself after ${formatMs(strategy.autoConfirmMs ?? 0)}`);
    if (strategy.pauseBetweenMs > 0) rules.push(`${formatMs(strategy.pauseBetweenMs)} between waves`);
  }
  const back =
    previous === null ? 'there is nothing to go back to' : `those that switched go back to ${previous}`;
  rules.push(`at more than ${maxFailures} failures ${onFailure === 'stop' ? 'it stops' : back}`);
  return rules.join('; ');
}

/** What was paused or unpaused, and whose agents know. */
export function pauseLines({ text, told }: PauseAnswer): string[] {
  return [oneLine(text), ...(told.length > 0 ? [`  agents told: ${told.join(', ')}`] : [])];
}

/** `confirmed by jane@host; jenkins payments#4711 goes on with it`. */
export function decisionLines({ decision, by, deployment, text }: DecisionAnswer): string[] {
  const said = decision === 'confirm' ? 'confirmed' : 'cancelled';
  return [
    `${deployment.service} ${deployment.version} ${deployment.deployment} ${said} by ${oneLine(by)}; ${oneLine(text)}`,
  ];
}

/** For a program. */
export function pushThing({ manifest, ...rest }: PushAnswer): object {
  const { nonce: _ours, ...told } = manifest;
  return { ...rest, ...told };
}

/** In one line, where the deployment follows. */
export function pushNote(answer: PushAnswer, at: number): PublisherEvent {
  return { type: 'note', at, level: 'info', text: pushLines(answer)[0] ?? '' };
}

export function pushLines({ manifest, changed, env }: PushAnswer): string[] {
  const { service, version, pushedBy, pushedAt, artifacts } = manifest;
  if (!changed) {
    return [
      `${service} ${version} is there already, same bytes, pushed by ${oneLine(pushedBy)} at ${pushedAt}: nothing to do`,
    ];
  }
  return [
    `${service} ${version} is pushed to ${env}`,
    ...artifacts.map(
      ({ name, size, sha256, role }) => `  ${role} ${name} ${bytesText(size)} sha256 ${sha256}`,
    ),
    `  → trigger-deploy ${service} ${version} --env ${env}`,
  ];
}

export function keygenLines({ kid, privateFile, publicFile }: KeygenAnswer): string[] {
  return [
    `a new Ed25519 pair, kid ${kid}`,
    `  ${privateFile}  private: signs; keep it where deployments are started, name it as signingKey in trigger-deploy.yaml`,
    `  ${publicFile}  public: verifies; copy it to every instance, name it in trust.keys of /etc/trigger-deploy/agent.yaml`,
  ];
}
