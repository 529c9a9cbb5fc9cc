import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';

/** What Node reads at once from a connection at most, bytes. */
const READ_BYTES = 64 * 1024;
/** As many as the SDK's own. They are open only while requests run, and shortly after. */
const OPTIONS = { keepAlive: true, maxSockets: 50 };

/**
 * The connections of all clients of the agent. Each reads into the same memory again and again; Node's own way takes
 * new memory for each read, which makes the garbage collector run over the whole heap for each 10 MB of a download.
 */
export function createConnections(): { httpAgent: HttpAgent; httpsAgent: HttpsAgent } {
  return { httpAgent: new PlainConnections(OPTIONS), httpsAgent: new TlsConnections(OPTIONS) };
}

class PlainConnections extends HttpAgent {
  override createConnection(...[options, callback]: Parameters<HttpAgent['createConnection']>) {
    return super.createConnection({ ...options, ...reusing() }, callback);
  }
}

class TlsConnections extends HttpsAgent {
  override createConnection(...[options, callback]: Parameters<HttpsAgent['createConnection']>) {
    return super.createConnection({ ...options, ...reusing() }, callback);
  }
}

/** The option `onread` of net.connect() and tls.connect(), which node:http hands on. */
function reusing() {
  let buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  return {
    onread: {
      buffer: () => buffer,
      callback(this: Socket, length: number): boolean {
        const wantsMore = this.push(buffer.subarray(0, length));
        // node:http parses the bytes at once, and copies what it keeps. Bytes that it left in the queue are not written
        // over.
        if (this.readableLength > 0) buffer = Buffer.allocUnsafeSlow(READ_BYTES);
        return wantsMore;
      },
    },
  };
}
