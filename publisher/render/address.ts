/** The addresses of the console's pages. Pure, without Node: the page runs it in a browser. */

export type Place =
  | { page: 'overview' }
  | { page: 'service'; service: string }
  | { page: 'deployment'; env: string; service: string; deployment: string }
  /** A deployment whose environment and service are not known: the page asks for them. */
  | { page: 'find'; deployment: string }
  | { page: 'history' };

/** The forms of names, as shared/names.ts has them: whatever else an address holds is no page. */
const NAMES = {
  env: /^[a-z0-9]{1,16}$/,
  service: /^[a-z][a-z0-9_-]{0,62}$/,
  deployment: /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/,
} as const;
const isName = (kind: keyof typeof NAMES, text: string) => NAMES[kind].test(text);

/**
 * The address of a deployment's page on the console at `base` (https://deploys.acme.com), with `act` that of an open dialog.
 * A link never acts: it opens the page, or fills in the dialog. Undefined without `base`.
 */
export function deploymentUrl(
  base: string | undefined,
  { env, service, deployment }: { env: string; service: string; deployment: string },
  act?: 'confirm',
): string | undefined {
  if (base === undefined) return undefined;
  const query = act === undefined ? '' : `?${new URLSearchParams({ act, env, service, deployment })}`;
  return base.replace(/\/+$/, '') + pathOf({ page: 'deployment', env, service, deployment }) + query;
}

/** The path of a page: `/d/prd/payments/01M7…`. */
export function pathOf(place: Place): string {
  return `/${partsOf(place)
    .map((part) => encodeURIComponent(part.toWellFormed()))
    .join('/')}`;
}

function partsOf(place: Place): string[] {
  switch (place.page) {
    case 'overview':
      return [''];
    case 'service':
      return ['s', place.service];
    case 'deployment':
      return ['d', place.env, place.service, place.deployment];
    case 'find':
      return ['d', place.deployment];
    case 'history':
      return ['h'];
  }
}

/** The page of a path; undefined where there is none. */
export function placeOf(path: string): Place | undefined {
  let parts: string[];
  try {
    parts = path.split('/').slice(1).map(decodeURIComponent);
  } catch {
    return undefined;
  }
  const [kind = '', first = '', second = '', third = ''] = parts;
  if (parts.length === 1 && kind === '') return { page: 'overview' };
  if (parts.length === 1 && kind === 'h') return { page: 'history' };
  if (parts.length === 2 && kind === 's' && isName('service', first))
    return { page: 'service', service: first };
  if (parts.length === 2 && kind === 'd' && isName('deployment', first))
    return { page: 'find', deployment: first };
  const isDeployment = isName('env', first) && isName('service', second) && isName('deployment', third);
  if (parts.length === 4 && kind === 'd' && isDeployment) {
    return { page: 'deployment', env: first, service: second, deployment: third };
  }
  return undefined;
}
