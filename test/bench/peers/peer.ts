/** A tool: what it runs for one deployment, and what it does before. */
export interface Peer {
  readonly name: string;
  /** The command that deploys; it ends once all hosts are healthy. */
  command(
    hosts: number,
    version: string,
  ): { argv: readonly [string, ...string[]]; env: Record<string, string>; cwd: string };
  /** What is not timed: connections that stay open between deployments, agents, the push. */
  prepare?(hosts: number, version: string): Promise<void>;
  stop?(): Promise<void>;
}
