import { type ProxyStatus, type Proxier } from '../../proxy/proxier.ts';
import type { EventRecorder } from '../api/client/event-recorder.ts';
import type { KubeObject } from '../api/kinds/meta.ts';

const REASON = 'ServicePortRefused';

/** The Service of a port key (`namespace/name:portName/PROTOCOL`) as events refer to it. */
export interface ReportDeps {
  readonly proxier: Proxier;
  readonly recorder: EventRecorder;
  readonly uidOf: (serviceKey: string) => string | undefined;
}

/** Tells on the Service, as an Event, why one of its ports is not served; once, when it begins. */
export function reportRefusals({ proxier, recorder, uidOf }: ReportDeps): Disposable {
  let told = new Set<string>();
  const tell = ({ refused, mode }: ProxyStatus): void => {
    const now = new Map(refused.map((each) => [`${each.key} ${each.reason}`, each]));
    for (const [id, { key, reason }] of now) {
      if (told.has(id)) continue;
      const serviceKey = key.slice(0, key.lastIndexOf(':'));
      recorder.record(
        serviceObject(serviceKey, uidOf(serviceKey)),
        'Warning',
        REASON,
        `proxy mode ${mode}: ${reason}`,
      );
    }
    told = new Set(now.keys());
  };
  tell(proxier.status.current.value);
  return proxier.status.subscribe(({ value }) => tell(value));
}

function serviceObject(key: string, uid: string | undefined): KubeObject {
  const [namespace = '', name = ''] = key.split('/', 2);
  const metadata = { namespace, name, ...(uid !== undefined && { uid }) };
  return { apiVersion: 'v1', kind: 'Service', metadata };
}
