import { type ApiClient, ApiError } from '../../api/client/client.ts';
import { resources } from '../../api/client/resources.ts';
import { DEFAULT_INGRESS_CLASS_ANNOTATION, type IngressClass } from '../../api/kinds/ingress.ts';

/** `spec.controller` of the IngressClasses that weft serves in clusters of its own. */
export const INGRESS_CONTROLLER = 'weft.dev/ingress-controller';

/**
 * Makes the class that new Ingresses without one get, as small distributions of Kubernetes do; what somebody changed
 * in it stays.
 */
export async function ensureIngressClass(client: ApiClient): Promise<void> {
  const ingressClass: IngressClass = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IngressClass',
    metadata: { name: 'weft', annotations: { [DEFAULT_INGRESS_CLASS_ANNOTATION]: 'true' } },
    spec: { controller: INGRESS_CONTROLLER },
  };
  try {
    await client.create(resources.ingressClasses, ingressClass);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 409) throw error;
  }
}
