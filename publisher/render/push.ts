import type { PushAnswer } from '../commands/push.ts';
import type { PublisherEvent } from '../events.ts';
import { bytesText, oneLine } from './text.ts';

/** The answer as one JSON object. */
export function pushJson({ manifest, ...rest }: PushAnswer): object {
  const { nonce: _nonce, ...published } = manifest;
  return { ...rest, ...published };
}

/** The first line of the answer as a note, because the events of the deployment follow it. */
export function pushNote(answer: PushAnswer, at: number): PublisherEvent {
  return { type: 'note', at, level: 'info', text: pushLines(answer)[0] ?? '' };
}

export function pushLines({ manifest, changed, env }: PushAnswer): string[] {
  const { service, version, pushedBy, pushedAt, artifacts } = manifest;
  if (!changed) {
    return [
      `${service} ${version} is already pushed with the same sha256, by ${oneLine(pushedBy)} at ${pushedAt}: nothing to do`,
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
