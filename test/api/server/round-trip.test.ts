import fc from 'fast-check';
import { stringify } from 'yaml';
import { describe, expect, it } from 'vitest';
import { apply } from '../../../src/api/server/apply/apply.ts';
import { decodeObject } from '../../../src/api/server/http/body.ts';
import { StatusError } from '../../../src/api/server/status.ts';
import { builtinKinds } from '../../../src/api/kinds/builtin.ts';
import { cloneJson, isObject, type JsonObject } from '../../../src/api/kinds/json-value.ts';
import type { UnknownObject } from '../../../src/api/kinds/meta.ts';
import { joinApiVersion, type KindInfo } from '../../../src/api/kinds/registry.ts';
import { encodeEnvelope, encodeMessage } from '../../support/protobuf-encoder.ts';
import { typedArbitrary } from '../../support/typed-arbitrary.ts';

const LENIENT = { fieldValidation: 'Ignore', warn: () => {} } as const;
const STRICT = { fieldValidation: 'Strict', warn: () => {} } as const;

function bytes(text: string): Uint8Array {
  return Buffer.from(text, 'utf8');
}

function objectOf(kind: KindInfo, value: Record<string, unknown>): UnknownObject {
  const metadata: JsonObject = isObject(value['metadata']) ? value['metadata'] : {};
  const given = {
    ...value,
    apiVersion: joinApiVersion(kind.group, kind.version),
    kind: kind.kind,
    metadata: { ...metadata, name: 'x' },
  };
  return decodeObject(kind, { value: given, duplicates: [] }, undefined, LENIENT);
}

const kinds = builtinKinds().map(
  (kind) => [`${kind.group || 'core'}/${kind.version} ${kind.kind}`, kind] as const,
);

describe.each(kinds)('%s', (_name, kind) => {
  const definition = kind.schema.definition ?? '';
  const objects = typedArbitrary(definition).map((value) => objectOf(kind, value));

  it('is the same from JSON, YAML and protobuf', () => {
    fc.assert(
      fc.property(objects, (object) => {
        const json = decodeObject(kind, bytes(JSON.stringify(object)), 'application/json', STRICT);
        expect(json).toEqual(object);
        const yaml = stringify(object, { version: '1.1', aliasDuplicateObjects: false });
        expect(decodeObject(kind, bytes(yaml), 'application/yaml', STRICT)).toEqual(object);
        const { apiVersion, kind: name, ...rest } = object;
        const protobuf = encodeEnvelope(apiVersion, name, encodeMessage(rest, definition));
        expect(decodeObject(kind, protobuf, 'application/vnd.kubernetes.protobuf', STRICT)).toEqual(object);
      }),
      { numRuns: 25 },
    );
  });

  it('is the same after server-side apply, twice, and is taken back by an empty one', () => {
    const writer = {
      manager: 'm',
      apiVersion: joinApiVersion(kind.group, kind.version),
      subresource: '',
      time: '2026-01-01T00:00:00Z',
    };
    const options = {
      schema: kind.schema,
      writer: writer as never,
      force: false,
      keeps: <T>(set: T): T => set,
    };
    fc.assert(
      fc.property(objects, (object) => {
        const configuration = cloneJson(object);
        delete configuration.metadata.managedFields;
        let first: UnknownObject;
        try {
          first = apply(undefined, configuration, options);
        } catch (error) {
          // Lists with items that lack or share their keys cannot be applied: 400, nothing else.
          expect(error).toBeInstanceOf(StatusError);
          expect((error as StatusError).code).toBe(400);
          return;
        }
        const { managedFields, ...metadata } = first.metadata;
        expect({ ...first, metadata }).toEqual(withoutNulls(configuration));
        expect(apply(first, configuration, options)).toEqual(first);
        const foreign = { ...options, writer: { ...writer, manager: 'other' } as never };
        const shared = apply(first, configuration, foreign);
        expect({ ...shared, metadata: { ...shared.metadata, managedFields } }).toEqual(first);
        const bare = { apiVersion: object.apiVersion, kind: object.kind, metadata: { name: 'x' } };
        const left = apply(first, bare, options);
        expect(Object.keys(left.metadata.labels ?? {})).toEqual([]);
        expect(left['spec'] ?? {}).toEqual({});
      }),
      { numRuns: 25 },
    );
  });
});

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, one]) => one !== null && one !== undefined)
      .map(([name, one]) => [name, withoutNulls(one)]),
  );
}
