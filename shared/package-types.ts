/** The types of package, as the agent's config names them, and what the file of each must be. */
export const PACKAGE_TYPES = {
  jar: 'a runnable .jar; the instances start it as SERVICE.jar',
  archive: 'a .tar, .tar.gz or .tgz; a directory at its top level is not removed',
  deb: "a .deb of the package that the agent's config names, without config files",
} as const;
