/** Who runs the publisher, and on which machine. */
export interface Origin {
  user: string;
  host: string;
  /** The URL of the CI build, when there is one. */
  build?: string | undefined;
  /** The host of the console through which the person acted. */
  via?: string | undefined;
  /** Who the person is by a signed token: its issuer and subject. Only a console sets it. */
  verified?: { iss: string; sub: string } | undefined;
  /** The command line, as the console's page showed it. */
  argv?: readonly string[] | undefined;
}

/** A person who acts through a console. */
export interface Person {
  /** The name in the record: an e-mail address, or `user@host` on loopback. */
  name: string;
  /** The issuer and the subject of the signed token; left out on loopback. */
  verified?: { iss: string; sub: string } | undefined;
  /** The host of the console. */
  via: string;
  groups: readonly string[];
  /** Whether the token is of a program, not of a person: it may not confirm. */
  isMachine: boolean;
  /** The token does not say who it is: whatever the rules give, this person may only look. */
  mayOnlyLook?: true | undefined;
}
