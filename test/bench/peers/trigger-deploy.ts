import { copyFile, link, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../support/ports.ts';
import { BUCKET, openInstances, startCloudProcess } from '../instances.ts';
import { untilListening } from './listening.ts';
import type { Peer } from './peer.ts';
import type { World } from './world.ts';

/**
 * This project: agents that run already, and a version that was pushed, as the other tools' files lie on nginx already.
 * The embedded cloud takes the place of SNS and SQS, and of S3 for all but the downloads of artifacts: nginx answers
 * them from the disk, as it does for the other tools.
 */
export async function openTriggerDeploy(world: World): Promise<Peer> {
  const directory = join(world.root, 'trigger-deploy');
  const [port, front] = [await freePort(), await freePort()];
  await mkdir(join(directory, 'www'), { recursive: true });
  await startFront(world, directory, { cloud: port, front });
  const cloud = await startCloudProcess(join(world.root, 'log', 'cloud.log'), port);
  const instances = await openInstances({
    directory,
    env: world.env,
    cloud,
    s3: `http://127.0.0.1:${front}`,
  });
  await untilListening(front);
  const { argv, env, cwd } = instances.publisher;
  const service = (host: number) => {
    const at = join(world.root, `host${host}`);
    const svc = (verb: string) => `[${at}/svc, ${verb}]`;
    const pid = `${at}/svc.pid`;
    return `  app:
    # The other tools leave a release there that no agent has made.
    package: { type: jar, dir: ${at}, acceptNoUndo: true }
    manager: { type: command, start: ${svc('start')}, stop: ${svc('stop')}, restart: ${svc('restart')}, status: [/bin/sh, -c, 'kill -0 $(cat ${pid})'], pidFile: ${pid}, log: ${at}/svc.log }
    checks: [ { http: { url: "http://127.0.0.1:${world.healthPort(host)}/health", body: '"version": "{version}"', deadline: 20s } } ]
    watch: 0
`;
  };
  /** From the first deployment on, an agent that starts converges on the desired state. */
  let desired: 'desired' | undefined;
  return {
    name: 'trigger-deploy',
    command: (_hosts, version) => ({
      argv: [...argv, 'app', version, '--env', 'dev', '--output', 'lines', '--timeout', '2m'],
      env,
      cwd,
    }),
    async prepare(hosts, version) {
      for (const number of instances.running()) if (number > hosts) await instances.leave(number);
      const numbers = Array.from({ length: hosts }, (_, i) => i + 1);
      await Promise.all(numbers.map((number) => instances.start(number, service(number), desired)));
      await push(version);
      desired = 'desired';
    },
    async stop() {
      await instances.stop();
      await cloud.stop();
    },
  };

  /** Pushes the published files; nginx gets the jar by a link, at the key that it has in the bucket. */
  async function push(version: string): Promise<void> {
    const published = join(world.published, version);
    const packed = join(directory, 'packed', version);
    await mkdir(packed, { recursive: true });
    await link(join(published, 'app.bin'), join(packed, 'app.jar'));
    await copyFile(join(published, 'VERSION'), join(packed, 'VERSION'));
    const files = [join(packed, 'app.jar'), '--config', join(packed, 'VERSION')];
    await instances.publish(['push', 'app', version, ...files, '--output', 'lines']);
    const [sha256 = ''] = (await readFile(join(published, 'SHA256SUMS'), 'utf8')).split(' ');
    const served = join(directory, 'www', BUCKET, 'artifacts', 'app', version, sha256);
    await mkdir(served, { recursive: true });
    await link(join(published, 'app.bin'), join(served, 'app.jar'));
  }
}

async function startFront(
  world: World,
  directory: string,
  ports: { cloud: number; front: number },
): Promise<void> {
  const file = join(directory, 'nginx.conf');
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${world.root}/nginx;`,
  );
  await writeFile(
    file,
    `daemon off; user root; worker_processes 2; pid ${directory}/nginx.pid; error_log ${world.root}/log/front.log;
events { worker_connections 2048; }
http {
  access_log off; sendfile on; tcp_nopush on; client_max_body_size 0; keepalive_timeout 30; ${places.join(' ')}
  upstream cloud { server 127.0.0.1:${ports.cloud}; keepalive 64; }
  server {
    listen 127.0.0.1:${ports.front} backlog=512; root ${directory}/www; default_type application/octet-stream;
    location / {
      error_page 418 = @cloud;
      if ($request_method != GET) { return 418; }
      if ($args ~ "list-type|prefix|uploads") { return 418; }
      try_files $uri @cloud;
    }
    location @cloud {
      proxy_pass http://cloud; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $http_host; proxy_request_buffering off;
    }
  }
}
`,
  );
  world.serve(['/usr/sbin/nginx', '-c', file, '-e', join(world.root, 'log', 'front.log')], 'front.out');
}
