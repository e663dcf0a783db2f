import { removeModes } from '../../../proxy/mode-removal.ts';
import { systemClock } from '../../base/clock.ts';
import { exec } from '../../net/exec.ts';
import { openNetlink } from '../../net/netlink/socket.ts';
import type { CliContext } from '../context.ts';
import { hostFamilies } from './flags.ts';

/** Removes what any mode wrote, kube-proxy's too. Returns what could not be removed, in words. */
export async function removeRules({ log, stop }: CliContext): Promise<readonly string[]> {
  return await removeModes(
    { clock: systemClock, log, exec, openNetlink },
    { families: hostFamilies() },
    stop,
  );
}
