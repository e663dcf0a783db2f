import { expect, test } from 'vitest';
import { Registry } from '../../src/base/metrics.ts';
import { registerBuildInfo } from '../../src/cli/build-info.ts';
import { packageVersion } from '../../src/cli/package-version.ts';

test('the version stands where dashboards of the originals look for it', async () => {
  const registry = new Registry();
  registerBuildInfo(registry, 'dns');
  registerBuildInfo(registry, 'ingress');
  registerBuildInfo(registry, 'proxy');
  const text = await registry.metrics();
  expect(text).toContain(`coredns_build_info{version="${packageVersion()}"} 1`);
  expect(text).toContain(`kubernetes_build_info{git_version="${packageVersion()}"} 1`);
  expect(text).toContain(`nginx_ingress_controller_build_info{release="${packageVersion()}"} 1`);
});
