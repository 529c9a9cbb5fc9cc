/**
 * The environment variables that the agent sets for commands of the config: hooks, command checks and the commands of
 * a `command` manager. docs/OPERATIONS.md describes each.
 */
const VARIABLES = {
  /** Hooks, checks and manager commands: the environment, `dev`. */
  env: 'TRIGGER_DEPLOY_ENV',
  /** Hooks, checks and manager commands: the service. */
  service: 'TRIGGER_DEPLOY_SERVICE',
  /** Hooks and checks: the version that runs or is about to run. During a rollback, this is the old version. */
  version: 'TRIGGER_DEPLOY_VERSION',
  /** Hooks: the version that is replaced; empty on a first deploy. During a rollback, this is the new version. */
  previous: 'TRIGGER_DEPLOY_PREVIOUS',
  /** Hooks: the deployment's id. */
  deployment: 'TRIGGER_DEPLOY_DEPLOYMENT',
  /** Hooks: `deploy`, `rollback` or `restart`; `terminate` when the instance is about to end. */
  action: 'TRIGGER_DEPLOY_ACTION',
  /** Hooks: the instance's id. */
  instance: 'TRIGGER_DEPLOY_INSTANCE',
  /** Hooks when the instance is about to end: why, such as `spot-terminate`. */
  notice: 'TRIGGER_DEPLOY_NOTICE',
  /** Hooks when the instance is about to end: how long this hook may take, ms. */
  remaining: 'TRIGGER_DEPLOY_REMAINING_MS',
} as const;

export type CommandValues = { [value in keyof typeof VARIABLES]?: string };

/** The variables for the values that are given. A variable of the same name in the config takes precedence. */
export function commandEnvironment(values: CommandValues): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([value, text]) => [VARIABLES[value as keyof CommandValues], text]),
  );
}
