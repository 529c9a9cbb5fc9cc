/**
 * The files of the page as they are served. In the bundle of the program this module is replaced by one that has them
 * (systemd/bundle-plugins.ts). From source, for the demo and the tests, they are built when the console starts.
 */

export interface PageFile {
  /** Its path below the address of the console. */
  path: string;
  type: string;
  /** The file, compressed with Brotli, in base64. */
  brotli: string;
}

/** The files of the page; the first one is the HTML. */
export async function pageFiles(): Promise<readonly PageFile[]> {
  // A variable: nothing that follows imports takes the builder, and what it needs, for a part of the program.
  const builder = '../../../systemd/page-bundle.ts';
  const { buildPage } = (await import(builder)) as { buildPage(): Promise<readonly PageFile[]> };
  return await buildPage();
}
