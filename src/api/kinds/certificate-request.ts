import type { Condition, KubeObject } from './meta.ts';

/** certificates.k8s.io/v1 CertificateSigningRequest. */
export interface CertificateSigningRequest extends KubeObject {
  spec: { signerName: string; request: string };
  status?: {
    /** PEM chain in base64. */
    certificate?: string;
    conditions?: (Condition & { lastUpdateTime?: string })[];
  };
}
