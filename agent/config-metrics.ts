import * as z from 'zod';

/** `metrics:` of agent.yaml. Nothing is measured, and nothing listens, unless it is there. */

const LOOPBACK = /^(127(?:\.\d{1,3}){3}|\[::1\]):(\d{1,5})$/;

/** An address of this machine that no other machine reaches, as host and port. A name such as localhost could lead elsewhere. */
const loopbackAddress = z.string().transform((text, context) => {
  const [, host = '', port = ''] = LOOPBACK.exec(text) ?? [];
  const isHost = host === '[::1]' || host.split('.').every((part) => Number(part) <= 255);
  if (host === '' || !isHost || Number(port) < 1 || Number(port) > 65_535) {
    const message = 'expected a loopback address with a port, such as 127.0.0.1:9464 or [::1]:9464';
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  }
  return { host: host.replace(/[[\]]/g, ''), port: Number(port) };
});

/** CloudWatch API Reference, MetricDatum and PutMetricData: a namespace, which does not begin like AWS's own. */
const namespace = z
  .string()
  .regex(/^[A-Za-z0-9_./#:-]{1,255}$/, 'expected a namespace of A-Z, a-z, 0-9 and _ . / # : -')
  .refine((text) => !/^(aws\/|:)/i.test(text), {
    error: 'expected a namespace that does not begin with AWS/ or a colon',
  });

/** CloudWatch Logs API Reference, CreateLogGroup. */
const logGroup = z.string().regex(/^[A-Za-z0-9_./#-]{1,512}$/, 'expected the name of a log group');

export const metricsConfig = z
  .strictObject({
    /** Where the metrics go in embedded metric format: to the log, or to the CloudWatch agent of this machine. */
    emf: z.enum(['log', 'cloudwatch-agent'], { error: 'expected log or cloudwatch-agent' }).optional(),
    namespace: namespace.default('TriggerDeploy'),
    /** The log group into which the CloudWatch agent writes what it gets. */
    logGroup: logGroup.default('/trigger-deploy/agent'),
    /** Where a scraper of Prometheus may read the metrics. */
    prometheus: loopbackAddress.optional(),
  })
  .refine(({ emf, prometheus }) => emf !== undefined || prometheus !== undefined, {
    error: 'expected emf, or prometheus, or both',
  });
export type MetricsConfig = z.infer<typeof metricsConfig>;
