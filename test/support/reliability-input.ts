/** The rows of the fault matrix about what people, builds, hosts and AWS hand to the programs. */
export const INPUT = {
  'not-ready': {
    fault:
      'A unit is masked, missing or badly written; a hook, a check or a program is missing or not executable; a user does not exist',
    promise:
      'the deployment is refused before anything stops, with what to do; `trigger-deploy-agent check` says the same before.',
  },
  'not-running': {
    fault:
      'The checks pass, but the new version does not run: a fixed old path, an old process that kept its port, a restart that replaced nothing',
    promise: 'the version does not count as succeeded: it is rolled back with `RELEASE_NOT_RUN`.',
  },
  'wrong-config': {
    fault: 'The configuration of the agent is wrong, or `check` is run by another user than the agent',
    promise:
      'all mistakes are told once, with their lines; systemd does not start the agent again and again; `check` judges by the user of the agent.',
  },
  push: {
    fault:
      'A file that cannot be deployed is pushed: another format, cut short, text under the name of a package, unsafe names',
    promise: 'the push is refused in one sentence, by the code that the agent uses, with what to do.',
  },
  companions: {
    fault: 'Several Debian packages are one version, or a version moves packages that the old one pins',
    promise: 'they are installed and undone together, or the deployment is refused before anything stops.',
  },
  names: {
    fault:
      'Config files with names such as `.env` or `my settings.yml`, in directories of the release; services with an underscore',
    promise: 'they are accepted; a name that leads out of the release is refused.',
  },
  options: {
    fault: 'An option is misspelt, comes twice, or contradicts another',
    promise: 'the command is refused in one sentence; it never widens or moves its target.',
  },
  'no-success': {
    fault: 'No instance succeeds in a wave, whatever `--max-failures` and `--allow-missing` permit',
    promise:
      'the deployment does not end as succeeded, sets no desired state and proves nothing for `requires:`.',
  },
  cancelled: {
    fault: 'A deployment is cancelled while instances switch, or after that',
    promise: 'the answer promises only what is known; the outcome names who cancelled it and why.',
  },
  'aws-errors': {
    fault:
      'AWS refuses, redirects, answers half, or something else answers in its place: HTML, an empty page, a server without TLS',
    promise:
      'the error is told as what it is, with what to do; what is permanent is not retried, what is not is retried.',
  },
  'black-hole': {
    fault: 'AWS accepts connections and never answers',
    promise:
      'after a second the command says what it waits for; Ctrl-C ends it; without that it ends as unreachable.',
  },
  logs: {
    fault:
      'SIGKILL of the agent while it uploads logs; rotation by renaming and by copying meanwhile; lost answers',
    promise: 'each byte of a log is stored once; an interrupted upload goes on where it was.',
  },
  output: {
    fault: 'The output of the publisher cannot be written: a full disk, a closed pipe',
    promise:
      'what the command does does not change; the lock is released; a command whose answer was its purpose does not exit with 0.',
  },
} as const satisfies Record<string, { fault: string; promise: string }>;
