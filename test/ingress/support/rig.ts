import { Tracker } from '../../../endpoints/tracker.ts';
import { IngressController } from '../../../ingress/controller.ts';
import type { IngressDeps, IngressOptions } from '../../../ingress/controller-options.ts';
import type { AnnotationReport } from '../../../ingress/configuration.ts';
import type { GlobalSettings } from '../../../ingress/settings.ts';
import type { UnknownObject } from '../../../src/api/kinds/meta.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { createLogger, formatText } from '../../../src/base/log.ts';
import { Registry } from '../../../src/base/metrics.ts';
import { waitFor } from '../../support/wait-for.ts';
import { isSecure } from './dial.ts';
import { ENGINE, WORKERS } from './engine.ts';

const log = createLogger(
  (record) => process.env['VERBOSE'] && process.stderr.write(`${formatText(record, Date.now())}\n`),
  'debug',
);

export interface RigOptions {
  readonly settings?: Partial<GlobalSettings>;
  readonly strict?: boolean;
  readonly configMap?: string;
  readonly deps?: Partial<IngressDeps>;
}

/** A running ingress on ports of its own, fed with objects. */
export class Rig implements AsyncDisposable {
  readonly controller: IngressController;
  readonly tracker: Tracker;
  readonly reports: Map<string, AnnotationReport>;
  /** Access log lines, parsed. */
  readonly logged: readonly LoggedLine[];

  private constructor(
    controller: IngressController,
    tracker: Tracker,
    reports: Map<string, AnnotationReport>,
    logged: LoggedLine[],
  ) {
    this.controller = controller;
    this.tracker = tracker;
    this.reports = reports;
    this.logged = logged;
  }

  static async open(objects: readonly UnknownObject[], options: RigOptions = {}): Promise<Rig> {
    const tracker = new Tracker({ log });
    const reports = new Map<string, AnnotationReport>();
    const logged: LoggedLine[] = [];
    const deps: IngressDeps = {
      snapshots: tracker,
      clock: systemClock,
      log,
      metrics: new Registry(),
      random: Math.random,
      resolve: () => Promise.reject(new Error('no DNS here')),
      publishStatus: async () => {},
      report: (ingress, report) => void reports.set(ingress.metadata.name, report),
      accessLog: (line) => logged.push(JSON.parse(line) as LoggedLine),
      ...options.deps,
    };
    const listen = [{ host: '127.0.0.1', port: 0 }];
    const ingressOptions: IngressOptions = {
      http: listen,
      https: listen,
      engine: ENGINE,
      workers: WORKERS,
      ingressClass: 'weft',
      controllerName: 'weft.dev/ingress-controller',
      watchWithoutClass: true,
      applyDefaultClass: true,
      strict: options.strict ?? false,
      statusAddresses: [],
      settings: { drainMs: 0, accessLog: 'json', ...options.settings },
      ...(options.configMap !== undefined && { configMap: options.configMap }),
    };
    const rig = new Rig(await IngressController.open(deps, ingressOptions), tracker, reports, logged);
    for (const kind of ['Service', 'Node', 'Namespace']) tracker.synced('v1', kind);
    tracker.synced('discovery.k8s.io/v1', 'EndpointSlice');
    await rig.apply(...objects);
    rig.controller.synced('networking.k8s.io/v1', 'Ingress');
    await waitFor('the first table', () => rig.controller.ready);
    return rig;
  }

  /** Where HTTP/1.1 is spoken. */
  get http(): number {
    return this.#port(isSecure() ? 'https' : 'http');
  }

  get https(): number {
    return this.#port('https');
  }

  /** Resolves when the objects are being served. */
  async apply(...objects: readonly UnknownObject[]): Promise<void> {
    for (const object of objects) {
      this.tracker.upsert(object);
      this.controller.upsert(object);
    }
    this.tracker.flush();
    await this.controller.settled();
  }

  async remove(...objects: readonly UnknownObject[]): Promise<void> {
    for (const object of objects) {
      this.tracker.remove(object);
      this.controller.remove(object);
    }
    this.tracker.flush();
    await this.controller.settled();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.controller[Symbol.asyncDispose]();
  }

  #port(protocol: string): number {
    return this.controller.addresses.find((each) => each.protocol === protocol)!.port;
  }
}

interface LoggedLine {
  readonly status: number;
  readonly tries: readonly { readonly endpoint: string; readonly status: number; readonly detail?: string }[];
  readonly why?: string;
  readonly aborted?: string;
}
