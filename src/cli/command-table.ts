import type { RegisterCommand } from './context.ts';

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** Loaded only when the command is asked for: a start pays for one command, not for all. */
  readonly load: () => Promise<{ readonly register: RegisterCommand }>;
}

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'up',
    summary: 'everything on this host: API, controllers, pods, DNS, proxy, ingress',
    load: () => import('./up/up.ts'),
  },
  { name: 'server', summary: 'API server and controllers', load: () => import('./server/server.ts') },
  {
    name: 'node',
    summary: 'node daemon: proxy, and as asked DNS, ingress and pods, with --kubeconfig',
    load: () => import('./node/node.ts'),
  },
  { name: 'dns', summary: 'cluster DNS with a Corefile', load: () => import('./dns/dns.ts') },
  {
    name: 'proxy',
    summary: "service proxy with kube-proxy's flags and configuration",
    load: () => import('./proxy/proxy.ts'),
  },
  {
    name: 'ingress',
    summary: "ingress controller in ingress-nginx's place: run, explain, check, diff",
    load: () => import('./ingress/ingress.ts'),
  },
  {
    name: 'trace',
    summary: 'what DNS, proxy and ingress would do, step by step, and why',
    load: () => import('./trace/trace.ts'),
  },
  {
    name: 'resolve',
    summary: 'look a name up as a pod would',
    load: () => import('./resolve/resolve.ts'),
  },
  { name: 'get', summary: 'list objects as a table', load: () => import('./objects/get.ts') },
  { name: 'apply', summary: 'apply manifests', load: () => import('./objects/apply.ts') },
  { name: 'delete', summary: 'delete objects', load: () => import('./objects/apply.ts') },
  { name: 'logs', summary: 'print what a container wrote', load: () => import('./objects/logs.ts') },
  {
    name: 'store',
    summary: 'export, import, compact or check a store',
    load: () => import('./server/store.ts'),
  },
  {
    name: 'completion',
    summary: 'shell completion for bash, zsh or fish',
    load: () => import('./completion.ts'),
  },
];
