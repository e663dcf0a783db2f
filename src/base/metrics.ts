/**
 * One registry a process, handed down by the composition root. Metric names are the originals'
 * (coredns_*, kubeproxy_*, nginx_ingress_controller_*) where they exist, weft_* otherwise.
 * Hot paths count in plain numbers and give them here from a `collect` callback.
 */
export { Counter, Gauge, Histogram, Registry, type Metric } from 'prom-client';
