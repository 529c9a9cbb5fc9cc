import { formatMs } from '../../shared/duration.ts';
import { oneLine } from '../render/text.ts';
import type { Notice } from './notice.ts';

type Of<T extends Notice['type']> = Extract<Notice, { type: T }>;

/** A notice as a message for people: what happened, by whom and why, then the id and the build. */
export function noticeText(notice: Notice): string {
  const { env, by, build } = notice;
  const why = notice.reason ? `: ${oneLine(notice.reason)}` : '';
  if (notice.type === 'paused' || notice.type === 'unpaused') {
    const what = notice.service === undefined ? `all of ${env}` : `${notice.service} in ${env}`;
    const verb = notice.type === 'paused' ? '⏸ paused' : '▶ unpaused';
    return parts(`${what} ${verb} by ${oneLine(by)}${why}`, build);
  }
  const { service, version, previous, deployment, issuedBy, action, url } = notice;
  const change = previous === null || previous === version ? version : `${previous} → ${version}`;
  const verb = action === 'deploy' ? '' : ` (${action})`;
  const whose =
    oneLine(issuedBy) === oneLine(by)
      ? oneLine(by)
      : `started by ${oneLine(issuedBy)}, reported by ${oneLine(by)}`;
  const what = `${service} ${change} in ${env}${verb}`;
  switch (notice.type) {
    case 'started':
      return parts(`${what} started by ${oneLine(by)}${skippedText(notice)}${why}`, deployment, build, url);
    case 'resumed':
      return parts(
        `${what} resumed by ${oneLine(by)}; it was started by ${oneLine(issuedBy)}${why}`,
        deployment,
        build,
        url,
      );
    case 'waiting':
      return parts(`⏳ ${what} ${waitingText(notice)}`, deployment, whose, build, url);
    case 'check-failed':
      return parts(`✗ ${what}: ${checkText(notice)}`, deployment, whose, build, url);
    case 'left':
      return parts(
        `⚠ ${what} is no longer followed: ${oneLine(notice.text)}; ${notice.command}`,
        deployment,
        whose,
        build,
        url,
      );
    default:
      return parts(`${MARKS[notice.type]} ${what} ${endingText(notice)}`, deployment, whose, build, url);
  }
}

const MARKS = {
  succeeded: '✓',
  'rolled-back': '↺',
  failed: '✗',
  'timed-out': '?',
  cancelled: '–',
} as const;

function endingText({ type, text, hint, tookMs }: Of<keyof typeof MARKS>): string {
  const took = tookMs > 0 ? ` (${formatMs(tookMs)})` : '';
  const advice = hint === undefined ? '' : ` → ${oneLine(hint)}`;
  return `${type === 'timed-out' ? 'timed out' : type.replace('-', ' ')}: ${oneLine(text)}${took}${advice}`;
}

function waitingText({ after, until, at, command, confirm }: Of<'waiting'>): string {
  const where = after === 0 ? 'is prepared on all instances' : 'has passed its canary';
  if (confirm === 'other')
    return `${where} and waits for another person to confirm it on the console: ${command}`;
  const whom =
    until === undefined
      ? 'waits for confirmation'
      : `continues in ${formatMs(Math.max(0, Date.parse(until) - Date.parse(at)))} if nothing fails; to continue now`;
  return `${where} and ${whom}: ${command}`;
}

const skippedText = ({ skippedChecks }: Of<'started'>) =>
  skippedChecks ? ' WITHOUT its automatic checks' : '';

function checkText({ check, phase, text }: Of<'check-failed'>): string {
  if (check === 'alarms') return oneLine(text);
  return `verify after the ${phase === 'canary' ? 'canary' : 'last wave'} failed: ${oneLine(text)}`;
}

const parts = (...all: readonly (string | undefined)[]) =>
  all
    .filter(Boolean)
    .map((one) => oneLine(one ?? ''))
    .join(' · ');
