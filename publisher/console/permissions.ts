/** What a person may be allowed to do on the page. Pure. */

export const PERMISSIONS = [
  'look',
  'deploy',
  'rollback',
  'restart',
  'confirm',
  'cancel',
  'pause',
  'unpause',
  'jump',
] as const;
export type Permission = (typeof PERMISSIONS)[number];

/** What one rule of `console.allow` gives. Without `env` or `service` it is for all of them. */
export interface Grant {
  env?: readonly string[] | undefined;
  service?: readonly string[] | undefined;
  may: readonly Permission[];
}

/** Whether one of `grants` gives `permission` there. Without a service: for the whole environment. */
export function isGranted(
  grants: readonly Grant[],
  permission: Permission,
  env: string,
  service?: string,
): boolean {
  return grants.some(
    (grant) =>
      grant.may.includes(permission) &&
      (grant.env?.includes(env) ?? true) &&
      (grant.service === undefined || (service !== undefined && grant.service.includes(service))),
  );
}
