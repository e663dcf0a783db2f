import { LEASE_RULES, NAMESPACE_RULES, NODE_RULES } from './cluster.ts';
import { CONFIG_MAP_RULES, SECRET_RULES, SERVICE_ACCOUNT_RULES } from './config.ts';
import { ENDPOINT_SLICE_RULES, ENDPOINTS_RULES } from './endpoints.ts';
import { EVENT_RULES } from './event.ts';
import { INGRESS_CLASS_RULES, INGRESS_RULES } from './ingress.ts';
import type { KindRules } from './kind-rules.ts';
import { POD_RULES } from './pod.ts';
import { SERVICE_RULES } from './service.ts';
import { DEPLOYMENT_RULES, REPLICA_SET_RULES, STATEFUL_SET_RULES } from './workloads.ts';

/** By `group/Kind`; a kind that is not here has the common behaviour only. */
export const RULES: Readonly<Record<string, KindRules>> = {
  '/Namespace': NAMESPACE_RULES,
  '/Node': NODE_RULES,
  '/Pod': POD_RULES,
  '/Service': SERVICE_RULES,
  '/Endpoints': ENDPOINTS_RULES,
  '/ConfigMap': CONFIG_MAP_RULES,
  '/Secret': SECRET_RULES,
  '/ServiceAccount': SERVICE_ACCOUNT_RULES,
  '/Event': EVENT_RULES,
  'apps/Deployment': DEPLOYMENT_RULES,
  'apps/ReplicaSet': REPLICA_SET_RULES,
  'apps/StatefulSet': STATEFUL_SET_RULES,
  'discovery.k8s.io/EndpointSlice': ENDPOINT_SLICE_RULES,
  'networking.k8s.io/Ingress': INGRESS_RULES,
  'networking.k8s.io/IngressClass': INGRESS_CLASS_RULES,
  'coordination.k8s.io/Lease': LEASE_RULES,
  'events.k8s.io/Event': EVENT_RULES,
};
