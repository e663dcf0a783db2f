import type { EntranceKind } from '../../packet/decide.ts';
import type { DoorDeps } from '../door.ts';

/** A service port and by which of its addresses it was met. */
export interface Way extends DoorDeps {
  readonly entrance: EntranceKind;
}
