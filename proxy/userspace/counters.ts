/** Plain numbers of one service port; the hot path only adds. */
export class PortCounters {
  connections = 0;
  active = 0;
  /** Client to endpoint. */
  bytesIn = 0;
  /** Endpoint to client. */
  bytesOut = 0;
  /** Client connections that no endpoint took. */
  failed = 0;
  /** Connections refused by policy, source range or limit. */
  refused = 0;
  readonly endpoints = new Map<string, EndpointCounters>();

  endpoint(id: string): EndpointCounters {
    let counters = this.endpoints.get(id);
    if (!counters) this.endpoints.set(id, (counters = new EndpointCounters()));
    return counters;
  }

  /** Drops endpoints that are gone, once their last connection has ended. */
  keepOnly(ids: ReadonlySet<string>): void {
    for (const [id, { active }] of this.endpoints)
      if (active === 0 && !ids.has(id)) this.endpoints.delete(id);
  }
}

export class EndpointCounters {
  connections = 0;
  active = 0;
  dialFailures = 0;
  bytesIn = 0;
  bytesOut = 0;
}
