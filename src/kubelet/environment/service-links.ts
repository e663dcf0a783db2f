import type { Service } from '../../api/kinds/service.ts';

/** NAME_SERVICE_HOST and the Docker-link variables a pod finds its namespace's services by. */
export function serviceVariables(services: Iterable<Service>): Record<string, string> {
  const out: Record<string, string> = {};
  for (const service of services) Object.assign(out, variablesOf(service));
  return out;
}

function variablesOf(service: Service): Record<string, string> {
  const { clusterIP, ports = [] } = service.spec;
  const first = ports[0];
  if (!clusterIP || clusterIP === 'None' || !first) return {};
  const name = variableName(service.metadata.name);
  const out: Record<string, string> = {
    [`${name}_SERVICE_HOST`]: clusterIP,
    [`${name}_SERVICE_PORT`]: String(first.port),
    [`${name}_PORT`]: linkUrl(clusterIP, first),
  };
  for (const port of ports) {
    if (port.name) out[`${name}_SERVICE_PORT_${variableName(port.name)}`] = String(port.port);
    const protocol = port.protocol ?? 'TCP';
    const link = `${name}_PORT_${port.port}_${protocol}`;
    out[link] = linkUrl(clusterIP, port);
    out[`${link}_PROTO`] = protocol.toLowerCase();
    out[`${link}_PORT`] = String(port.port);
    out[`${link}_ADDR`] = clusterIP;
  }
  return out;
}

function linkUrl(clusterIP: string, port: { readonly port: number; readonly protocol?: string }): string {
  const host = clusterIP.includes(':') ? `[${clusterIP}]` : clusterIP;
  return `${(port.protocol ?? 'TCP').toLowerCase()}://${host}:${port.port}`;
}

function variableName(name: string): string {
  return name.toUpperCase().replaceAll('-', '_');
}
