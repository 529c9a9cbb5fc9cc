import { connect } from 'node:net';
import * as z from 'zod';
import { port } from '../../../config-fields.ts';
import { checkType } from './check-type.ts';

/** Passes if the port accepts a connection. */
export const tcp = checkType({
  fields: { host: z.string().min(1).default('127.0.0.1'), port },

  describe: (check) => `tcp ${check.host}:${check.port}`,

  probe: (check, _expected, { signal }) =>
    new Promise((resolve, reject) => {
      const socket = connect({ host: check.host, port: check.port, signal });
      socket.once('connect', () => {
        socket.destroy();
        resolve({ ok: true, note: 'tcp open' });
      });
      socket.on('error', reject);
    }),
});
