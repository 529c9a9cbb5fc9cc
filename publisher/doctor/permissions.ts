import { PutObjectCommand } from '@aws-sdk/client-s3';
import { keys } from '../../shared/names.ts';
import { isPermitted, WRITES_NOTHING } from '../../shared/permission-probe.ts';
import { mapLimit } from '../record/map-limit.ts';
import type { Session } from '../session.ts';
import type { DoctorFinding } from './finding.ts';

/** Whether these credentials may write what they must, and nothing that they must not. Changes nothing. */

const LANES = 4;
/** In the place of services, versions and ids: no object has such a key. */
const ANY = 'trigger-deploy-doctor';

/** A publisher writes all of the record but what instances say of themselves; a reader, who has no key, writes nothing. */
export async function examineWrites(session: Session): Promise<DoctorFinding[]> {
  const { env } = session;
  const isReader = env.signingKey === undefined;
  const places = [
    keys.lock(env.name, ANY),
    keys.queue(env.name, ANY),
    keys.desired(env.name, ANY),
    keys.deployment(env.name, ANY, ANY),
    keys.decision(env.name, ANY, ANY, 'confirm'),
    keys.servicePause(env.name, ANY),
    keys.changes(env.name),
    keys.manifest(ANY, ANY),
  ];
  const [may, mayReport] = [
    await mapLimit(places, LANES, (key) => mayWrite(session, key)),
    await mayWrite(session, keys.instance(env.name, ANY, ANY)),
  ];
  const shown = (key: string) => key.replaceAll(ANY, '*');
  const policy = `trigger-deploy init --env ${env.name} --print iam`;
  const findings: DoctorFinding[] = [];
  const missing = places.filter((_, i) => !may[i]);
  if (!isReader && missing.length > 0) {
    findings.push(
      ...missing.map((key) => ({
        ...{
          id: 'permission-write',
          state: 'wrong' as const,
          what: `s3:PutObject on ${shown(key)} is denied`,
        },
        hint: `${policy} prints the policy of a publisher; a reader needs none of it, and no signingKey`,
      })),
    );
  } else if (!isReader) {
    findings.push({ id: 'permission-write', state: 'ok', what: 'the record and versions can be written' });
  }
  const tooMuch = [
    ...(isReader && missing.length < places.length
      ? ['the record and versions, and have no signingKey']
      : []),
    ...(mayReport ? ['what the instances say of themselves'] : []),
  ];
  return [
    ...findings,
    ...tooMuch.map(
      (what): DoctorFinding => ({
        // An administrator may do all of it, and nothing is broken by that.
        ...{ id: 'permission-too-much', state: 'ok', what: `these credentials may write ${what}` },
        hint: `for everyday use: ${policy} prints the policy of a ${isReader ? 'reader' : 'publisher'}, which may not`,
      }),
    ),
  ];
}

async function mayWrite({ aws, env, signal }: Session, Key: string): Promise<boolean> {
  const write = new PutObjectCommand({ Bucket: env.bucket, Key, ...WRITES_NOTHING });
  const attempt = () => aws.s3.send(write, { abortSignal: signal });
  return await isPermitted(`write s3://${env.bucket}/${Key}`, attempt, signal);
}
