import { OTHER_USER, SECRET_DIR, SERVICE_USER } from './intruder.ts';

/**
 * Mistakes that let a user write to `/opt/payments`, what that user then plants there, and how root sets it right. Release
 * 1 is current.
 */

const plant = `cd /opt/payments; mv releases was; ln -s /etc releases; ln -sfn ${SECRET_DIR} .staging`;

export const PLANTS = [
  {
    how: "the service's directory is its user's",
    open: `chown ${SERVICE_USER} /opt/payments`,
    user: SERVICE_USER,
    attack: `rm -rf /opt/payments/.staging; ${plant}`,
    close: 'cd /opt/payments; rm releases .staging; mv was releases; chown root .',
  },
  {
    how: "the service's directory is its user's, who changes what is current",
    open: `chown ${SERVICE_USER} /opt/payments`,
    user: SERVICE_USER,
    attack: `${plant}; ln -sfn ${SECRET_DIR} current`,
    close:
      'cd /opt/payments; rm releases .staging; mv was releases; ln -sfn releases/1 current; chown -h root . current',
  },
  {
    how: "everybody may write to the service's directory",
    open: 'chmod a+w /opt/payments',
    user: OTHER_USER,
    attack: plant,
    close: 'cd /opt/payments; rm releases .staging; mv was releases; chmod go-w .',
  },
  {
    how: 'everybody may write to the directory above it',
    open: 'chmod a+w /opt',
    user: OTHER_USER,
    attack: `cd /opt; mv payments was; ln -s ${SECRET_DIR} payments`,
    close: 'cd /opt; chmod go-w .; rm payments; mv was payments',
  },
  {
    how: "the releases are the service user's",
    open: `chown ${SERVICE_USER} /opt/payments/releases`,
    user: SERVICE_USER,
    attack: `cd /opt/payments/releases; ln -s ${SECRET_DIR} 2`,
    close: 'cd /opt/payments/releases; rm 2; chown root .',
  },
];
