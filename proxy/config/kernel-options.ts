import type { IptablesVariant } from '../../src/net/iptables.ts';
import type { IPVS_SCHEDULERS } from './fields.ts';

/** What only the kernel modes heed, as KubeProxyConfiguration names it. */
export interface KernelOptions {
  /** Number of the mark bit (0..31) that asks for masquerading. */
  readonly masqueradeBit: number;
  /** Which iptables programs to run; absent = the host's default. */
  readonly iptablesVariant?: IptablesVariant;
  readonly ipvs: IpvsOptions;
  readonly conntrack: ConntrackOptions;
}

/** Timeouts of 0 keep what the kernel has. */
export interface IpvsOptions {
  readonly scheduler: (typeof IPVS_SCHEDULERS)[number];
  /** Virtual servers in these ranges survive cleanup. */
  readonly excludeCIDRs: readonly string[];
  readonly strictARP: boolean;
  readonly tcpTimeoutMs: number;
  readonly tcpFinTimeoutMs: number;
  readonly udpTimeoutMs: number;
}

/** Sysctls of nf_conntrack; 0 keeps what the kernel has. */
export interface ConntrackOptions {
  readonly maxPerCore: number;
  readonly min: number;
  readonly tcpEstablishedTimeoutMs: number;
  readonly tcpCloseWaitTimeoutMs: number;
  readonly tcpBeLiberal: boolean;
  readonly udpTimeoutMs: number;
  readonly udpStreamTimeoutMs: number;
}

/** kube-proxy's defaults. */
export const KERNEL_DEFAULT: KernelOptions = {
  masqueradeBit: 14,
  ipvs: {
    scheduler: 'rr',
    excludeCIDRs: [],
    strictARP: false,
    tcpTimeoutMs: 0,
    tcpFinTimeoutMs: 0,
    udpTimeoutMs: 0,
  },
  conntrack: {
    maxPerCore: 32_768,
    min: 131_072,
    tcpEstablishedTimeoutMs: 86_400_000,
    tcpCloseWaitTimeoutMs: 3_600_000,
    tcpBeLiberal: false,
    udpTimeoutMs: 0,
    udpStreamTimeoutMs: 0,
  },
};
