import { Gauge, type Registry } from '../base/metrics.ts';
import { packageVersion } from './package-version.ts';

/** The original's name for it, and the label that its dashboards read the version from. */
const NAMES = {
  dns: { name: 'coredns_build_info', label: 'version' },
  proxy: { name: 'kubernetes_build_info', label: 'git_version' },
  ingress: { name: 'nginx_ingress_controller_build_info', label: 'release' },
} as const;

/** A constant 1 whose label says which version runs. */
export function registerBuildInfo(registry: Registry, part: keyof typeof NAMES): void {
  const { name, label } = NAMES[part];
  const help = `A metric with a constant '1' labeled by the version of weft.`;
  new Gauge({ name, help, labelNames: [label], registers: [registry] }).set({ [label]: packageVersion() }, 1);
}
