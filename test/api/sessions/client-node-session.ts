/**
 * A session of the JavaScript client of the Kubernetes project, as its users write it. Argument: a kubeconfig.
 * Prints what it saw as one JSON object; the test judges it.
 */
import { PassThrough, Readable, Writable } from 'node:stream';
import {
  AppsV1Api,
  CoreV1Api,
  type CoreV1Event,
  Exec,
  KubeConfig,
  Log,
  makeInformer,
  type V1ConfigMap,
  type V1Status,
  Watch,
} from '@kubernetes/client-node';

const config = new KubeConfig();
config.loadFromFile(process.argv[2] ?? '');
const core = config.makeApiClient(CoreV1Api);
const apps = config.makeApiClient(AppsV1Api);
const namespace = 'session';

async function until<T>(what: string, look: () => T | Promise<T>): Promise<NonNullable<T>> {
  for (const end = Date.now() + 60_000; Date.now() < end;) {
    const value = await look();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`gave up waiting for ${what}`);
}

async function change(): Promise<void> {
  const metadata = { name: 'watched', namespace };
  await core.createNamespacedConfigMap({ namespace, body: { metadata, data: { step: '1' } } });
  const found = await core.readNamespacedConfigMap({ namespace, name: 'watched' });
  found.data = { step: '2' };
  await core.replaceNamespacedConfigMap({ namespace, name: 'watched', body: found });
  await core.deleteNamespacedConfigMap({ namespace, name: 'watched' });
}

const brief = (object: V1ConfigMap): string => `${object.metadata?.name} ${object.data?.['step'] ?? ''}`;
const isOurs = (object: V1ConfigMap): boolean => object.metadata?.name === 'watched';

async function watch(): Promise<string[]> {
  const seen: string[] = [];
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const controller = await new Watch(config).watch(
    path,
    {},
    (phase, object: V1ConfigMap) => {
      if (isOurs(object)) seen.push(`${phase} ${brief(object)}`);
    },
    () => {},
  );
  await change();
  await until('three events', () => seen.length >= 3);
  controller.abort();
  return seen;
}

async function informer(): Promise<string[]> {
  const seen: string[] = [];
  const made = makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, () =>
    core.listNamespacedConfigMap({ namespace }),
  );
  for (const event of ['add', 'update', 'delete'] as const) {
    made.on(event, (object) => void (isOurs(object) && seen.push(`${event} ${brief(object)}`)));
  }
  made.on('error', (error: unknown) => void seen.push(String(error)));
  await made.start();
  await change();
  await until('three events', () => seen.length >= 3);
  const result = [...seen]; // its own stop is an error to it
  await made.stop();
  return result;
}

async function runningPod(): Promise<string> {
  const container = { name: 'shell', image: 'shell', command: ['sh', '-c', 'echo started; sleep 1000'] };
  const labels = { app: 'shell' };
  const template = {
    metadata: { labels },
    spec: { terminationGracePeriodSeconds: 1, containers: [container] },
  };
  const body = { metadata: { name: 'shell' }, spec: { selector: { matchLabels: labels }, template } };
  await apps.createNamespacedDeployment({ namespace, body });
  const pod = await until('a ready pod', async () => {
    const { items } = await core.listNamespacedPod({ namespace, labelSelector: 'app=shell' });
    return items.find((one) =>
      one.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True'),
    );
  });
  return pod.metadata?.name ?? '';
}

async function exec(pod: string, command: string[], input?: string): Promise<Record<string, unknown>> {
  let [out, err] = ['', ''];
  const stdout = new Writable({ write: (chunk, _encoding, done) => done(void (out += String(chunk))) });
  const stderr = new Writable({ write: (chunk, _encoding, done) => done(void (err += String(chunk))) });
  const stdin = input === undefined ? null : Readable.from([input]);
  const { promise, resolve } = Promise.withResolvers<V1Status>();
  await new Exec(config).exec(namespace, pod, 'shell', command, stdout, stderr, stdin, false, resolve);
  const status = await promise;
  const { message } = status;
  return { out, err, status: status.status, message, causes: status.details?.causes };
}

async function log(pod: string): Promise<string> {
  const stream = new PassThrough();
  let text = '';
  stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await new Log(config).log(namespace, pod, 'shell', stream, { tailLines: 1 });
  await until('the line', () => text);
  return text;
}

async function refusal(): Promise<unknown> {
  try {
    await core.readNamespacedPod({ namespace, name: 'nobody' });
    return undefined;
  } catch (error) {
    const { code, body } = error as { code?: number; body?: string };
    return { code, reason: (JSON.parse(body ?? '{}') as { reason?: string }).reason };
  }
}

await core.createNamespace({ body: { metadata: { name: namespace } } });
const pod = await runningPod();
const result = {
  watch: await watch(),
  informer: await informer(),
  exec: await exec(pod, ['sh', '-c', 'echo to out; echo to err >&2; exit 3']),
  execMissing: await exec(pod, ['/no/such/program']),
  execInput: await exec(pod, ['head', '-c', '5'], 'hello'),
  log: await log(pod),
  refusal: await refusal(),
  events: (await core.listNamespacedEvent({ namespace })).items.map((event: CoreV1Event) => event.reason),
};
await core.deleteNamespace({ name: namespace });
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
