import type { EndpointAddressPort } from '../../endpoints/node-view.ts';
import type { EntranceKind } from '../packet/decide.ts';
import type { DoorDeps } from './door.ts';

/** The endpoints a new TCP client may reach; undefined when it may not come (or is gone already), which is counted. */
export function admit(
  { context, state }: DoorDeps,
  entrance: EntranceKind,
  clientAddress: string | undefined,
): readonly EndpointAddressPort[] | undefined {
  const decision =
    clientAddress !== undefined && context.tcp.hasRoom ? state.decide(entrance, clientAddress) : undefined;
  if (decision?.verdict === 'dnat') return decision.endpoints;
  state.counters.refused++;
  return undefined;
}
