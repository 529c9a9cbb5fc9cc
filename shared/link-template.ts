/** The links of the config's `console.links`: https addresses with names in braces, which are filled in. Pure. */

export const LINK_NAMES = ['service', 'env', 'since', 'deployment', 'version'] as const;
export type LinkName = (typeof LINK_NAMES)[number];

/** What is known where a link is shown. `since` is in ms since the epoch. */
export type LinkValues = Readonly<Partial<Record<LinkName, string | number>>>;

const NAME = /\{([^{}]*)\}/g;
/** Names stand in the path, the query or the fragment only: no value can change the host. */
const HOST = /^https:\/\/[A-Za-z0-9.-]+(?::\d{1,5})?(?=[/?#]|$)/;

/** Whether `template` is an https address in which only names of `LINK_NAMES` stand in braces, behind the host. */
export function isLinkTemplate(template: string): boolean {
  const names = [...template.matchAll(NAME)].map(([, name]) => name);
  const filled = template.replace(NAME, 'x');
  return (
    HOST.test(template) &&
    names.every((name) => (LINK_NAMES as readonly (string | undefined)[]).includes(name)) &&
    /^[\x21-\x7e]{1,2000}$/.test(filled) &&
    !/[{}<>"`\\]/.test(filled) &&
    URL.canParse(filled)
  );
}

/** The address with each value encoded for a URL; undefined when a name of the template has no value here. */
export function fillLink(template: string, values: LinkValues): string | undefined {
  const lacks = [...template.matchAll(NAME)].some(([, name]) => values[name as LinkName] === undefined);
  if (lacks) return undefined;
  return template.replace(NAME, (_, name: LinkName) => encodeURIComponent(String(values[name])));
}
