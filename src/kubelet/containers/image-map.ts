import { existsSync, readFileSync, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { parse } from 'yaml';
import { Fault } from '../../base/fault.ts';

/** How containers of an image run on this host. */
export interface ImageCommand {
  /** What the image's ENTRYPOINT and CMD are elsewhere. Empty = the manifest must name a command. */
  readonly command: readonly string[];
  /** Working folder when the manifest names none. */
  readonly folder: string | undefined;
}

interface ImageRule {
  readonly pattern: RegExp;
  readonly run: ImageCommand;
}

export type ImageMap = readonly ImageRule[];

/** The value of a map file: an absolute folder, a command line, a list of words, or both by name. */
type ImageEntry =
  | string
  | readonly string[]
  | { readonly command?: string | readonly string[]; readonly folder?: string };

/**
 * Reads the text of a map file (YAML or JSON: image glob -> command or folder). Rules apply in order, the first
 * match wins. Throws Fault IMAGE_MAP that says which entry is wrong.
 */
export function parseImageMapFile(text: string): ImageMap {
  let content: unknown;
  try {
    content = parse(text);
  } catch (cause) {
    throw new Fault('IMAGE_MAP', `image map: ${(cause as Error).message}`, { cause });
  }
  if (content === null || typeof content !== 'object' || Array.isArray(content)) {
    throw new Fault('IMAGE_MAP', 'image map: must be a mapping of image to command or folder');
  }
  return Object.entries(content).map(([image, entry]) => rule(image, entry as ImageEntry));
}

/** `image=command words` or `image=/folder`, as given on the command line. */
export function parseImageMapPair(text: string): ImageMap {
  const equals = text.indexOf('=');
  if (equals <= 0 || equals === text.length - 1) {
    throw new Fault('IMAGE_MAP', `image map: ${JSON.stringify(text)} is not image=command or image=folder`);
  }
  return [rule(text.slice(0, equals), text.slice(equals + 1))];
}

/**
 * The rule for an image. A pattern without a tag matches every tag, without a registry every registry; `*`
 * matches anything but a slash, `**` anything.
 */
export function imageCommand(map: ImageMap, image: string): ImageCommand | undefined {
  return map.find(({ pattern }) => pattern.test(image))?.run;
}

function rule(image: string, entry: ImageEntry): ImageRule {
  return { pattern: imagePattern(image), run: commandOf(image, entry) };
}

function imagePattern(glob: string): RegExp {
  const source = glob
    .replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll('**', '\0')
    .replaceAll('*', '[^/]*')
    .replaceAll('\0', '.*');
  const lastName = glob.slice(glob.lastIndexOf('/') + 1);
  const tagged = lastName.includes(':') || glob.includes('@') || glob.endsWith('**');
  return new RegExp(`^(?:[^\\s]*/)?${source}${tagged ? '' : '(?::[^/]*)?(?:@.*)?'}$`);
}

function commandOf(image: string, entry: ImageEntry): ImageCommand {
  if (typeof entry === 'string') {
    return isFolder(entry)
      ? { command: folderCommand(entry), folder: entry }
      : { command: words(entry), folder: undefined };
  }
  if (Array.isArray(entry)) return { command: entry.map(String), folder: undefined };
  if (entry === null || typeof entry !== 'object') {
    throw new Fault(
      'IMAGE_MAP',
      `image map: ${image}: must be a command, a folder, a list or {command, folder}`,
    );
  }
  const { command, folder } = entry as { command?: string | readonly string[]; folder?: string };
  if (command === undefined && folder === undefined) {
    throw new Fault('IMAGE_MAP', `image map: ${image}: has neither command nor folder`);
  }
  if (folder !== undefined && !isFolder(folder)) {
    throw new Fault('IMAGE_MAP', `image map: ${image}: ${folder} is not an absolute path of a folder`);
  }
  if (command === undefined) return { command: folderCommand(folder ?? ''), folder };
  return { command: typeof command === 'string' ? words(command) : command.map(String), folder };
}

function isFolder(path: string): boolean {
  return isAbsolute(path) && existsSync(path) && statSync(path).isDirectory();
}

/** How a folder starts by itself: a file `entrypoint` or `entrypoint.sh`, or a Node package. Empty = not at all. */
function folderCommand(folder: string): readonly string[] {
  for (const name of ['entrypoint', 'entrypoint.sh']) {
    if (existsSync(join(folder, name))) return [join(folder, name)];
  }
  if (!existsSync(join(folder, 'package.json'))) return [];
  const content = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    scripts?: { start?: string };
  };
  return content.scripts?.start ? ['npm', 'start', '--silent'] : ['node', '.'];
}

/** Splits a command line at white space; quotes hold words together. */
function words(line: string): string[] {
  return Array.from(
    line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g),
    (match) => match[1] ?? match[2] ?? match[3] ?? '',
  );
}
