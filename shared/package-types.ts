/** The package types of the agent's config, and what the file of each must be. */
export const PACKAGE_TYPES = {
  jar: 'a runnable .jar; the instances start it as SERVICE.jar',
  archive: 'a .tar, .tar.gz or .tgz; a top-level directory in it is kept',
  deb: "a .deb with the package name from the agent's config; no config files",
} as const;
