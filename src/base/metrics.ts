/**
 * One registry a process, handed down by the composition root. Metric names are the originals'
 * (coredns_*, kubeproxy_*, nginx_ingress_controller_*) where they exist, weft_* otherwise.
 * Hot paths count in plain numbers and give them here from a `collect` callback.
 */
import { createRequire } from 'node:module';
import type * as prometheus from 'prom-client';

// The package's entry brings what nobody here uses, HTTP and cluster among it: a good part of a daemon's start.
const require = createRequire(import.meta.url);

export const Counter = require('prom-client/lib/counter.js') as typeof prometheus.Counter;
export const Gauge = require('prom-client/lib/gauge.js') as typeof prometheus.Gauge;
export const Histogram = require('prom-client/lib/histogram.js') as typeof prometheus.Histogram;
export const Registry = require('prom-client/lib/registry.js') as typeof prometheus.Registry;
export type Counter<Label extends string = string> = prometheus.Counter<Label>;
export type Gauge<Label extends string = string> = prometheus.Gauge<Label>;
export type Histogram<Label extends string = string> = prometheus.Histogram<Label>;
export type Registry = prometheus.Registry;
export type Metric = prometheus.Metric;
