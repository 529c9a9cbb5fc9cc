import { fillLink } from '../../../shared/link-template.ts';
import { config } from '../shell/state.ts';
import { Foreign } from './foreign.tsx';

/** A link of the config; nothing where the config has none, or where one of its names has no value. */
export function ConfigLink({
  template,
  values,
  label,
}: {
  template: string | undefined;
  values: Parameters<typeof fillLink>[1];
  label: string;
}) {
  const address = template === undefined ? undefined : fillLink(template, values);
  if (address === undefined) return null;
  return (
    <a href={address} target="_blank" rel="noreferrer">
      {label} <span aria-hidden="true">↗</span>
      <span class="unseen"> (opens in a new tab)</span>
    </a>
  );
}

/**
 * The build that pushed a version. Its address is what somebody pushed: it is a link only if it goes to the host of the
 * config's `links.builds`.
 */
export function BuildLink({ build }: { build: string }) {
  const label = /\/(\d+)\/?$/.exec(build)?.[1];
  if (!isAt(build, config.value?.links.builds)) return <Foreign text={build} most={200} />;
  return (
    <a href={build} target="_blank" rel="noreferrer">
      {label === undefined ? 'build' : `#${label}`} <span aria-hidden="true">↗</span>
      <span class="unseen"> (opens in a new tab)</span>
    </a>
  );
}

function isAt(address: string, template: string | undefined): boolean {
  if (template === undefined || !URL.canParse(address)) return false;
  const url = new URL(address);
  const host = /^https:\/\/([^/?#]+)/.exec(template)?.[1];
  return url.protocol === 'https:' && url.host === host && url.username === '' && url.password === '';
}
