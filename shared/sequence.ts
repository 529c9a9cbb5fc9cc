/**
 * The sequence orders the deployments of a service. A sequence at or above AWS's time in ms is refused. Publishers count up by one, so no number of deployments reaches it,
 * and one signed document can never make all later ones look old. Pure.
 */
export const isBeyondReach = (sequence: number, now: number): boolean => sequence >= now;

export const beyondReach = (sequence: number): string =>
  `the sequence ${sequence} is higher than any number of deployments reaches`;
