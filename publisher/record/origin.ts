/** Who runs the publisher, and on which machine. */
export interface Origin {
  user: string;
  host: string;
  /** The URL of the CI build, when there is one. */
  build?: string | undefined;
}
