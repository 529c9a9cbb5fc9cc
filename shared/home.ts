import { homedir, userInfo } from 'node:os';

/**
 * Gives the process a home directory and a working directory where it has none, so that neither this program nor the AWS
 * SDK fails at the question. In a container a user id may have no name and no HOME: it becomes `/`, as container runtimes
 * set it. A person may stand in a release that was pruned: the working directory becomes `/`.
 */
export function ensureDirectories(): void {
  try {
    homedir();
  } catch {
    process.env.HOME = '/';
  }
  try {
    process.cwd();
  } catch {
    process.chdir('/');
  }
}

/** The name of the user; without a name `USER` or, without that, the uid. */
export function userName(variables: Readonly<Record<string, string | undefined>>): string {
  try {
    return userInfo().username;
  } catch {
    return variables.USER || `uid ${process.getuid?.() ?? '?'}`;
  }
}
