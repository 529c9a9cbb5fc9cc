/** The package types of the agent's config, and what the file of each must be. */
export const PACKAGE_TYPES = {
  jar: 'a runnable .jar; the instances start it as SERVICE.jar',
  archive: 'a .tar, .tar.gz or .tgz; a top-level directory in it is kept',
  deb: "one .deb, or several of one version (companions), with the names in the agent's config; no config files",
} as const;
