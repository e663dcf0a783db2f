import type { Printer } from '../registry.ts';
import * as cluster from './cluster.ts';
import * as config from './config.ts';
import * as network from './network.ts';
import { POD_PRINTER } from './pod.ts';
import * as workloads from './workloads.ts';

const RBAC = 'rbac.authorization.k8s.io';
const ADMISSION = 'admissionregistration.k8s.io';

/** By `group/Kind`; a kind that is not here shows name and age. */
export const PRINTERS: Readonly<Record<string, Printer>> = {
  '/Namespace': cluster.NAMESPACE_PRINTER,
  '/Node': cluster.NODE_PRINTER,
  '/Pod': POD_PRINTER,
  '/Service': network.SERVICE_PRINTER,
  '/Endpoints': network.ENDPOINTS_PRINTER,
  '/ConfigMap': config.CONFIG_MAP_PRINTER,
  '/Secret': config.SECRET_PRINTER,
  '/ServiceAccount': config.SERVICE_ACCOUNT_PRINTER,
  '/Event': cluster.EVENT_PRINTER,
  '/ReplicationController': workloads.REPLICATION_CONTROLLER_PRINTER,
  '/PodTemplate': workloads.POD_TEMPLATE_PRINTER,
  '/ResourceQuota': config.QUOTA_PRINTER,
  '/LimitRange': config.LIMIT_RANGE_PRINTER,
  '/PersistentVolume': config.PERSISTENT_VOLUME_PRINTER,
  '/PersistentVolumeClaim': config.CLAIM_PRINTER,
  'apps/Deployment': workloads.DEPLOYMENT_PRINTER,
  'apps/ReplicaSet': workloads.REPLICA_SET_PRINTER,
  'apps/StatefulSet': workloads.STATEFUL_SET_PRINTER,
  'apps/DaemonSet': workloads.DAEMON_SET_PRINTER,
  'apps/ControllerRevision': workloads.CONTROLLER_REVISION_PRINTER,
  'batch/Job': workloads.JOB_PRINTER,
  'batch/CronJob': workloads.CRON_JOB_PRINTER,
  'autoscaling/HorizontalPodAutoscaler': config.AUTOSCALER_PRINTER,
  'discovery.k8s.io/EndpointSlice': network.ENDPOINT_SLICE_PRINTER,
  'networking.k8s.io/Ingress': network.INGRESS_PRINTER,
  'networking.k8s.io/IngressClass': network.INGRESS_CLASS_PRINTER,
  'networking.k8s.io/NetworkPolicy': network.NETWORK_POLICY_PRINTER,
  'networking.k8s.io/IPAddress': network.IP_ADDRESS_PRINTER,
  'networking.k8s.io/ServiceCIDR': network.SERVICE_CIDR_PRINTER,
  'coordination.k8s.io/Lease': cluster.LEASE_PRINTER,
  'events.k8s.io/Event': cluster.EVENT_PRINTER,
  'policy/PodDisruptionBudget': config.DISRUPTION_BUDGET_PRINTER,
  'scheduling.k8s.io/PriorityClass': cluster.PRIORITY_CLASS_PRINTER,
  'storage.k8s.io/StorageClass': config.STORAGE_CLASS_PRINTER,
  'node.k8s.io/RuntimeClass': cluster.RUNTIME_CLASS_PRINTER,
  [`${RBAC}/Role`]: config.ROLE_PRINTER,
  [`${RBAC}/ClusterRole`]: config.ROLE_PRINTER,
  [`${RBAC}/RoleBinding`]: config.ROLE_BINDING_PRINTER,
  [`${RBAC}/ClusterRoleBinding`]: config.ROLE_BINDING_PRINTER,
  'certificates.k8s.io/CertificateSigningRequest': cluster.CSR_PRINTER,
  [`${ADMISSION}/MutatingWebhookConfiguration`]: cluster.WEBHOOK_PRINTER,
  [`${ADMISSION}/ValidatingWebhookConfiguration`]: cluster.WEBHOOK_PRINTER,
  [`${ADMISSION}/ValidatingAdmissionPolicy`]: cluster.ADMISSION_POLICY_PRINTER,
  [`${ADMISSION}/ValidatingAdmissionPolicyBinding`]: cluster.ADMISSION_BINDING_PRINTER,
  'apiextensions.k8s.io/CustomResourceDefinition': cluster.CRD_PRINTER,
};
