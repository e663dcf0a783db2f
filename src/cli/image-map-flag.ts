import { readFile } from 'node:fs/promises';
import { messageOf } from '../base/fault.ts';
import { type ImageMap, parseImageMapFile, parseImageMapPair } from '../kubelet/containers/image-map.ts';
import { EXIT_USAGE, ExitError } from './context.ts';

/** Reads --image-map: each is a file, or one pair `image=command`. */
export async function readImageMap(flags: readonly string[]): Promise<ImageMap> {
  const maps = await Promise.all(
    flags.map(async (flag) => {
      try {
        return flag.includes('=') ? parseImageMapPair(flag) : parseImageMapFile(await readFile(flag, 'utf8'));
      } catch (error) {
        throw new ExitError(EXIT_USAGE, `--image-map ${flag}: ${messageOf(error)}`);
      }
    }),
  );
  return maps.flat();
}
