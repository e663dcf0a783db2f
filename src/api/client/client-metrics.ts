import { Counter, Gauge, Histogram, type Registry } from '../../base/metrics.ts';

/** Metrics of informers and reconcile loops; made once a registry, shared by all of them. */
export interface ClientMetrics {
  readonly informerLists: Counter<'resource'>;
  readonly informerEvents: Counter<'resource' | 'type'>;
  readonly informerErrors: Counter<'resource' | 'stage'>;
  readonly informerRecalled: Gauge<'resource'>;
  readonly reconciles: Counter<'controller' | 'outcome'>;
  readonly reconcileSeconds: Histogram<'controller'>;
  readonly queueDepth: Gauge<'controller'>;
  readonly eventsRecorded: Counter<'result'>;
  readonly leader: Gauge<'name'>;
}

const known = new WeakMap<Registry, ClientMetrics>();

export function clientMetrics(registry: Registry): ClientMetrics {
  const present = known.get(registry);
  if (present) return present;
  const registers = [registry];
  const made: ClientMetrics = {
    informerLists: new Counter({
      name: 'weft_informer_lists_total',
      help: 'Complete lists (or watch-lists) taken, the first one included.',
      labelNames: ['resource'],
      registers,
    }),
    informerEvents: new Counter({
      name: 'weft_informer_events_total',
      help: 'Changes delivered to handlers.',
      labelNames: ['resource', 'type'],
      registers,
    }),
    informerErrors: new Counter({
      name: 'weft_informer_errors_total',
      help: 'Failed lists and watches, and handlers that threw.',
      labelNames: ['resource', 'stage'],
      registers,
    }),
    informerRecalled: new Gauge({
      name: 'weft_informer_recalled',
      help: '1 while a collection is served as it was at the last run, because the API has not been heard yet.',
      labelNames: ['resource'],
      registers,
    }),
    reconciles: new Counter({
      name: 'weft_controller_reconciles_total',
      help: 'Reconciles by outcome: done, again, terminal, conflict, error.',
      labelNames: ['controller', 'outcome'],
      registers,
    }),
    reconcileSeconds: new Histogram({
      name: 'weft_controller_reconcile_seconds',
      help: 'Time of one reconcile.',
      labelNames: ['controller'],
      buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
      registers,
    }),
    queueDepth: new Gauge({
      name: 'weft_controller_queue_depth',
      help: 'Keys that wait, delayed ones included.',
      labelNames: ['controller'],
      registers,
    }),
    eventsRecorded: new Counter({
      name: 'weft_events_recorded_total',
      help: 'Kubernetes Events by what became of them: written, dropped, failed.',
      labelNames: ['result'],
      registers,
    }),
    leader: new Gauge({
      name: 'weft_leader_election_leader',
      help: '1 while this process holds the lease.',
      labelNames: ['name'],
      registers,
    }),
  };
  known.set(registry, made);
  return made;
}
