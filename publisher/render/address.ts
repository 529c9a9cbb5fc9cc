/** The addresses of the console's pages. Pure, without Node: the page runs it in a browser. */

export type Place =
  | { page: 'overview' }
  | { page: 'service'; service: string }
  | { page: 'deployment'; env: string; service: string; deployment: string }
  /** A deployment whose environment and service are not known: the page asks for them. */
  | { page: 'find'; deployment: string }
  | { page: 'history' };

/** The path of a page: `/d/prd/payments/01M7…`. */
export function pathOf(place: Place): string {
  return `/${partsOf(place).map(encodeURIComponent).join('/')}`;
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
  if (parts.length === 2 && first !== '') {
    if (kind === 's') return { page: 'service', service: first };
    if (kind === 'd') return { page: 'find', deployment: first };
  }
  if (parts.length === 4 && kind === 'd' && first !== '' && second !== '' && third !== '') {
    return { page: 'deployment', env: first, service: second, deployment: third };
  }
  return undefined;
}
