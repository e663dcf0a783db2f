import * as admissionPolicy from './admission-policy.ts';
import * as admissionWebhooks from './admission-webhooks.ts';
import { AUTOSCALER_V1_RULES } from './autoscaler-v1.ts';
import { AUTOSCALER_RULES } from './autoscaler.ts';
import { LEASE_RULES, NAMESPACE_RULES, NODE_RULES } from './cluster.ts';
import { CONFIG_MAP_RULES, SECRET_RULES, SERVICE_ACCOUNT_RULES } from './config.ts';
import { CRD_RULES } from './crd.ts';
import { DAEMON_SET_RULES } from './daemon-set.ts';
import { ENDPOINT_SLICE_RULES, ENDPOINTS_RULES } from './endpoints.ts';
import { EVENT_RULES, MODERN_EVENT_RULES } from './event.ts';
import { INGRESS_CLASS_RULES, INGRESS_RULES } from './ingress.ts';
import { CRON_JOB_RULES, JOB_RULES } from './job.ts';
import type { KindRules } from './kind-rules.ts';
import { IP_ADDRESS_RULES, NETWORK_POLICY_RULES, SERVICE_CIDR_RULES } from './network.ts';
import { POD_RULES } from './pod.ts';
import * as policy from './policy.ts';
import { LIMIT_RANGE_RULES, QUOTA_RULES } from './quota.ts';
import * as rbac from './rbac.ts';
import {
  CONTROLLER_REVISION_RULES,
  POD_TEMPLATE_RULES,
  REPLICATION_CONTROLLER_RULES,
} from './replication.ts';
import * as reviews from './reviews.ts';
import { SERVICE_RULES } from './service.ts';
import { CLAIM_RULES, PERSISTENT_VOLUME_RULES, STORAGE_CLASS_RULES } from './storage.ts';
import { DEPLOYMENT_RULES, REPLICA_SET_RULES, STATEFUL_SET_RULES } from './workloads.ts';

const NETWORKING = 'networking.k8s.io';
const RBAC = 'rbac.authorization.k8s.io';
const ADMISSION = 'admissionregistration.k8s.io';
const AUTHORIZATION = 'authorization.k8s.io';

/** By `group/Kind` or `group/version/Kind`; a kind that is not here has the common behaviour only. */
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
  '/ReplicationController': REPLICATION_CONTROLLER_RULES,
  '/PodTemplate': POD_TEMPLATE_RULES,
  '/ResourceQuota': QUOTA_RULES,
  '/LimitRange': LIMIT_RANGE_RULES,
  '/PersistentVolume': PERSISTENT_VOLUME_RULES,
  '/PersistentVolumeClaim': CLAIM_RULES,
  '/Binding': reviews.BINDING_RULES,
  'apps/Deployment': DEPLOYMENT_RULES,
  'apps/ReplicaSet': REPLICA_SET_RULES,
  'apps/StatefulSet': STATEFUL_SET_RULES,
  'apps/DaemonSet': DAEMON_SET_RULES,
  'apps/ControllerRevision': CONTROLLER_REVISION_RULES,
  'batch/Job': JOB_RULES,
  'batch/CronJob': CRON_JOB_RULES,
  'autoscaling/HorizontalPodAutoscaler': AUTOSCALER_RULES,
  'autoscaling/v1/HorizontalPodAutoscaler': AUTOSCALER_V1_RULES,
  'discovery.k8s.io/EndpointSlice': ENDPOINT_SLICE_RULES,
  [`${NETWORKING}/Ingress`]: INGRESS_RULES,
  [`${NETWORKING}/IngressClass`]: INGRESS_CLASS_RULES,
  [`${NETWORKING}/NetworkPolicy`]: NETWORK_POLICY_RULES,
  [`${NETWORKING}/IPAddress`]: IP_ADDRESS_RULES,
  [`${NETWORKING}/ServiceCIDR`]: SERVICE_CIDR_RULES,
  'coordination.k8s.io/Lease': LEASE_RULES,
  'events.k8s.io/Event': MODERN_EVENT_RULES,
  'policy/PodDisruptionBudget': policy.DISRUPTION_BUDGET_RULES,
  'scheduling.k8s.io/PriorityClass': policy.PRIORITY_CLASS_RULES,
  'storage.k8s.io/StorageClass': STORAGE_CLASS_RULES,
  'node.k8s.io/RuntimeClass': policy.RUNTIME_CLASS_RULES,
  [`${RBAC}/Role`]: rbac.ROLE_RULES,
  [`${RBAC}/ClusterRole`]: rbac.CLUSTER_ROLE_RULES,
  [`${RBAC}/RoleBinding`]: rbac.ROLE_BINDING_RULES,
  [`${RBAC}/ClusterRoleBinding`]: rbac.CLUSTER_ROLE_BINDING_RULES,
  'certificates.k8s.io/CertificateSigningRequest': policy.CERTIFICATE_REQUEST_RULES,
  'authentication.k8s.io/TokenReview': reviews.TOKEN_REVIEW_RULES,
  [`${AUTHORIZATION}/SubjectAccessReview`]: reviews.ACCESS_REVIEW_RULES,
  [`${AUTHORIZATION}/LocalSubjectAccessReview`]: reviews.LOCAL_ACCESS_REVIEW_RULES,
  [`${AUTHORIZATION}/SelfSubjectAccessReview`]: reviews.SELF_ACCESS_REVIEW_RULES,
  [`${ADMISSION}/MutatingWebhookConfiguration`]: admissionWebhooks.MUTATING_WEBHOOK_RULES,
  [`${ADMISSION}/ValidatingWebhookConfiguration`]: admissionWebhooks.VALIDATING_WEBHOOK_RULES,
  [`${ADMISSION}/ValidatingAdmissionPolicy`]: admissionPolicy.ADMISSION_POLICY_RULES,
  [`${ADMISSION}/ValidatingAdmissionPolicyBinding`]: admissionPolicy.ADMISSION_BINDING_RULES,
  'apiextensions.k8s.io/CustomResourceDefinition': CRD_RULES,
};
