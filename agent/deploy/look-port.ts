/** One process of a service. */
export interface ServiceProcess {
  pid: number;
  /** The pid and the start time: another process with the same pid has another id. */
  id: string;
  /** Whether a restart of the service must replace it. */
  main: boolean;
}

/** What the processes of a service show of its versions: their programs, arguments, directories and open files. */
export interface Look {
  shown: readonly Shown[];
  /** How many of the processes the agent may not inspect. */
  hidden: number;
  /** What a process of the wanted version would show, for people: `a file of /opt/payments/releases/1.4.2`. */
  missing: string;
  /** What to do if a process shows another version. */
  hint: string;
}

export interface Shown {
  process: ServiceProcess;
  /** Whether it shows the version that should run; otherwise it shows something else that this service deployed. */
  wanted: boolean;
  /** The version that it shows, if that is known. */
  version?: string | undefined;
  /** For people: `its argument /opt/payments/releases/1.4.1/payments.jar`. */
  by: string;
}
