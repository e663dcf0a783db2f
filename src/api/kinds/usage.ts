/** What was used from a start until now. CPU time only grows; memory is of this moment. */
export interface Usage {
  readonly cpuSeconds: number;
  /** Memory that cannot be taken away without harm: resident for processes, used and not free-able for a host. */
  readonly workingSetBytes: number;
}

/** What one container uses, summed over its processes. */
export interface ContainerUsage extends Usage {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  /** Wall time its CPU time counts from, ms. */
  readonly startedAtMs: number;
  /** Absent where the kubelet does not tell. */
  readonly processes?: number;
}

/** One reading of one node, all of it at one moment. */
export interface NodeUsage {
  readonly nodeName: string;
  readonly atMs: number;
  readonly node: Usage;
  readonly containers: readonly ContainerUsage[];
}
