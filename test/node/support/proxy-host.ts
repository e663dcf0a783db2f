import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { Lan } from '../../support/lan.ts';
import type { OwnNetwork } from '../../support/own-network.ts';
import { ROOT } from '../../support/source-files.ts';
import { WeftProcess } from '../../support/weft-process.ts';
import { startWeb, web } from '../cluster.ts';

/** Of the service that the manifest of a ProxyHost describes. */
export const VIP = '10.96.7.7';
/** A host with a web server behind a service that a manifest file describes. */
export class ProxyHost implements Disposable {
  readonly lan: Lan;
  readonly alpha: OwnNetwork;
  readonly folder = mkdtempSync(join(tmpdir(), 'weft-kernel-'));

  constructor(purpose: string) {
    this.lan = new Lan(purpose);
    this.alpha = this.lan.host('alpha', '192.0.2.11/24', 'fd00::11/64');
    const beta = this.lan.host('beta', '192.0.2.12/24');
    startWeb(beta, '192.0.2.12', 'beta');
    const items = web('web', VIP, ['192.0.2.12'], {
      type: 'NodePort',
      ports: [{ name: 'http', port: 80, targetPort: 8080, nodePort: 30_080, protocol: 'TCP' }],
    });
    writeFileSync(this.manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  }

  get manifest(): string {
    return join(this.folder, 'web.json');
  }

  /** KubeProxyConfiguration with short sync periods. */
  configure(mode: string): string {
    const path = join(this.folder, 'config.yaml');
    const periods = { syncPeriod: '2s', minSyncPeriod: '100ms' };
    const config = {
      apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
      kind: 'KubeProxyConfiguration',
      mode,
      hostnameOverride: 'alpha',
      // others than pods are masqueraded, so that answers come back this way
      clusterCIDR: '10.244.0.0/16',
      iptables: periods,
      nftables: periods,
      ipvs: periods,
    };
    writeFileSync(path, JSON.stringify(config));
    return path;
  }

  start(mode: string, ...flags: readonly string[]): WeftProcess {
    const args = ['proxy', '--from', this.manifest, '--config', this.configure(mode), ...flags];
    return new WeftProcess(this.alpha, args, { ...process.env, WEFT_LOG_LEVEL: 'info' });
  }

  weft(...args: readonly string[]): string {
    const { status, stdout, stderr } = this.alpha.run(`${ROOT}bin/weft`, args, { timeoutMs: 60_000 });
    expect(status, stderr).toBe(0);
    return stdout;
  }

  /** All rules of the kernel, without counters. */
  rules(): string {
    const nft = this.alpha.run('nft', ['-s', 'list', 'ruleset']).stdout;
    return nft.replaceAll(/ handle \d+/g, '');
  }

  [Symbol.dispose](): void {
    this.lan[Symbol.dispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
