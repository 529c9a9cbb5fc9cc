/** The person or CI build that runs the publisher, and the machine. */
export interface Origin {
  user: string;
  host: string;
  /** The URL of the CI build, when there is one. */
  build?: string | undefined;
}
