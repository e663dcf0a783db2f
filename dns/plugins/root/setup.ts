import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { expectArgs, expectNoBody } from '../../corefile/options.ts';
import type { Directive } from '../../plugin.ts';

/** `root FOLDER`: where relative paths of the block start; default the folder of the Corefile. */
export const root: Directive = {
  name: 'root',
  setup(context) {
    const [folder] = context.stanza.args;
    expectNoBody(context);
    if (!expectArgs(context, context.stanza, 1, 1) || !folder) return undefined;
    const path = resolve(context.root, folder.text);
    const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
    if (!isFolder) context.fault(folder, `"${folder.text}" is not a folder`);
    context.block.root = path;
    return undefined;
  },
};
