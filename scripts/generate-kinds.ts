/**
 * Writes src/api/kinds/schema/*.generated.ts from Kubernetes' published OpenAPI v2 document and Go API types.
 *
 *   node scripts/generate-kinds.ts SWAGGER_JSON API_FOLDER APIMACHINERY_FOLDER APIEXTENSIONS_FOLDER
 *
 * SWAGGER_JSON is kubernetes/kubernetes api/openapi-spec/swagger.json of one release; the folders are checkouts
 * of k8s.io/api, k8s.io/apimachinery and k8s.io/apiextensions-apiserver of the same release. None is kept here.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type GoField, type GoStructs, type GoType, readGoStructs } from './go-types.ts';
import { readResources } from './served-resources.ts';
import { EXTRA_DEFINITIONS, SERVED_KINDS } from './served-kinds.ts';
import { definitionName, type Property, type Swagger } from './swagger.ts';

const OUTPUT = join(import.meta.dirname, '../src/api/kinds/schema');
const NOTE =
  '// Written by scripts/generate-kinds.ts from the documents Kubernetes publishes. Do not edit.\n';

interface Context {
  readonly swagger: Swagger;
  readonly structs: GoStructs;
  readonly types: Map<string, string>;
  readonly descriptions: Record<string, Record<string, string>>;
}

function main([swaggerPath, api, apimachinery, apiextensions]: string[]): void {
  if (!swaggerPath || !api || !apimachinery || !apiextensions) {
    throw new Error('usage: generate-kinds.ts SWAGGER_JSON API APIMACHINERY APIEXTENSIONS');
  }
  const swagger = JSON.parse(readFileSync(swaggerPath, 'utf8')) as Swagger;
  const structs = readGoStructs(api, apimachinery, apiextensions);
  const context: Context = { swagger, structs, types: new Map(), descriptions: {} };
  const resources = readResources(swagger, SERVED_KINDS);
  for (const resource of resources) emitType(resource.definition, context);
  for (const name of EXTRA_DEFINITIONS) emitType(name, context);
  writeTypes(context);
  writeResources(resources);
  writeDescriptions(context);
}

/** Adds the type and everything it refers to. `flattenedInto` lends the OpenAPI facts of embedded structs. */
function emitType(name: string, context: Context, flattenedInto?: Record<string, Property>): void {
  if (context.types.has(name)) return;
  const fields = context.structs.get(name);
  if (!fields) throw new Error(`no Go struct for ${name}`);
  context.types.set(name, '');
  const definition = context.swagger.definitions[definitionName(name)];
  const properties = { ...flattenedInto, ...definition?.properties };
  describe(name, definition, context);
  const required = new Set(definition?.required ?? []);
  const lines = definition?.['x-kubernetes-map-type'] === 'atomic' ? ['@atomic'] : [];
  for (const field of fields) {
    const line = fieldLine(field, properties, required);
    if (line === undefined) continue;
    lines.push(line);
    if (field.type.base.includes('.')) {
      emitType(field.type.base, context, field.json === '' ? properties : undefined);
    }
  }
  context.types.set(name, lines.join('\n'));
}

function fieldLine(
  field: GoField,
  properties: Record<string, Property>,
  required: ReadonlySet<string>,
): string | undefined {
  if (field.json === '') return inlineLine(field);
  const property = properties[field.json];
  if (!property) return undefined;
  const parts = [field.json, typeText(field.type), String(field.number)];
  if (field.omitEmpty) parts.push('?');
  if (field.omitZero) parts.push('?0');
  if (required.has(field.json)) parts.push('!');
  const listType = property['x-kubernetes-list-type'];
  const keys = property['x-kubernetes-list-map-keys'];
  if (listType && listType !== 'atomic') parts.push(keys ? `map=${keys.join(',')}` : listType);
  if (property['x-kubernetes-map-type'] === 'atomic') parts.push('atomic');
  const strategy = property['x-kubernetes-patch-strategy'];
  if (strategy) parts.push(`strategy=${strategy}`);
  const mergeKey = property['x-kubernetes-patch-merge-key'];
  if (mergeKey) parts.push(`merge=${mergeKey}`);
  if (field.default !== undefined) parts.push(`default=${field.default}`);
  return parts.join(' ');
}

/** TypeMeta travels outside of the message: it becomes the two plain fields. */
function inlineLine(field: GoField): string {
  if (field.type.base === 'meta/v1.TypeMeta') return 'kind string 0 ?\napiVersion string 0 ?';
  return `+ ${typeText(field.type)} ${field.number}`;
}

function typeText(type: GoType): string {
  return `${type.pointer ? '*' : ''}${type.list ? '[]' : ''}${type.map ? '{}' : ''}${type.base}`;
}

function describe(name: string, definition: Property | undefined, context: Context): void {
  const texts: Record<string, string> = {};
  if (definition?.description) texts[''] = definition.description;
  for (const [field, property] of Object.entries(definition?.properties ?? {})) {
    if (property.description) texts[field] = property.description;
  }
  context.descriptions[name] = texts;
}

function writeTypes({ types }: Context): void {
  const entries = [...types].filter(([name]) => name !== 'meta/v1.TypeMeta').toSorted(byName);
  const body = entries.map(([name, text]) => `  '${name}': \`\n${text}\`,`).join('\n');
  const head = `${NOTE}// One line a field: name, Go type, protobuf number, flags; read by type-table.ts.\n`;
  write(
    'types.generated.ts',
    `${head}export const TYPES: Readonly<Record<string, string>> = {\n${body}\n};\n`,
  );
}

function writeResources(resources: readonly unknown[]): void {
  const body = resources.map((resource) => `  ${JSON.stringify(resource)},`).join('\n');
  const type = `import type { GeneratedResource } from './resource.ts';\n\n`;
  write(
    'resources.generated.ts',
    `${NOTE}${type}export const RESOURCES: readonly GeneratedResource[] = [\n${body}\n];\n`,
  );
}

function writeDescriptions({ descriptions }: Context): void {
  const packed = gzipSync(JSON.stringify(descriptions), { level: 9 }).toString('base64');
  write(
    'descriptions.generated.ts',
    `${NOTE}// gzip, base64: {type: {field: text}}, the type's own text under ''.\nexport const DESCRIPTIONS =\n  '${packed}';\n`,
  );
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

function write(file: string, text: string): void {
  writeFileSync(join(OUTPUT, file), text);
}

main(process.argv.slice(2));
