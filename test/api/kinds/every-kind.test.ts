import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { builtinKinds } from '../../../src/api/kinds/builtin.ts';
import { readTyped } from '../../../src/api/kinds/decode/typed.ts';
import { readEnvelope, readProtobuf } from '../../../src/api/kinds/decode/protobuf.ts';
import { StrictErrors } from '../../../src/api/kinds/decode/strict-errors.ts';
import { cloneJson, isObject } from '../../../src/api/kinds/json-value.ts';
import type { UnknownObject } from '../../../src/api/kinds/meta.ts';
import { joinApiVersion, type KindInfo } from '../../../src/api/kinds/registry.ts';
import { encodeEnvelope, encodeMessage } from '../../support/protobuf-encoder.ts';
import { typedArbitrary } from '../../support/typed-arbitrary.ts';

const kinds = builtinKinds();
const NOW_MS = Date.UTC(2026, 0, 1);

function asObject(kind: KindInfo, value: Record<string, unknown>): UnknownObject {
  const metadata: object = isObject(value['metadata']) ? value['metadata'] : {};
  return {
    ...value,
    apiVersion: joinApiVersion(kind.group, kind.version),
    kind: kind.kind,
    metadata: { name: 'x', ...metadata },
  };
}

function definitionOf(kind: KindInfo): string {
  const { definition } = kind.schema;
  if (!definition) throw new Error(`${kind.kind} has no type`);
  return definition;
}

function canonical(kind: KindInfo, value: unknown): Record<string, unknown> {
  const read = readTyped(value, definitionOf(kind), new StrictErrors());
  if (!read.ok) throw new Error(read.message);
  return read.object;
}

describe.each(kinds.map((kind) => [`${kind.group || 'core'}/${kind.version} ${kind.kind}`, kind] as const))(
  '%s',
  (_name, kind) => {
    const typed = typedArbitrary(definitionOf(kind));

    test('reading is idempotent and tells nothing of known fields', () => {
      fc.assert(
        fc.property(typed, (value) => {
          const errors = new StrictErrors();
          const once = readTyped(value, definitionOf(kind), errors);
          expect(once).toMatchObject({ ok: true });
          expect(errors.texts).toEqual([]);
          if (once.ok) expect(canonical(kind, once.object)).toEqual(once.object);
        }),
        { numRuns: 30 },
      );
    });

    test('JSON to protobuf and back is the same object', () => {
      fc.assert(
        fc.property(typed, (value) => {
          const { apiVersion: _, kind: __, ...object } = canonical(kind, value);
          const raw = encodeMessage(object, definitionOf(kind));
          const envelope = readEnvelope(encodeEnvelope('g/v1', 'K', raw));
          expect(envelope).toMatchObject({ ok: true, apiVersion: 'g/v1', kind: 'K' });
          if (!envelope.ok) return;
          expect(readProtobuf(envelope.raw, definitionOf(kind))).toEqual({ ok: true, object });
        }),
        { numRuns: 30 },
      );
    });

    test('defaults are idempotent, keep the type, and rules answer for every typed object', () => {
      fc.assert(
        fc.property(typed, typed, (value, before) => {
          const object = asObject(kind, canonical(kind, value));
          const old = asObject(kind, canonical(kind, before));
          kind.defaults(object);
          kind.defaults(old);
          const once = cloneJson(object);
          kind.defaults(object);
          expect(object).toEqual(once);
          const errors = new StrictErrors();
          expect(readTyped(object, definitionOf(kind), errors)).toMatchObject({ ok: true });
          expect(errors.texts).toEqual([]);
          kind.prepareUpdate(object, old);
          for (const error of [...kind.validate(object), ...kind.validateUpdate(object, old)]) {
            expect(error.message).toMatch(/^[A-Z]/);
          }
          kind.prepareStatus(cloneJson(object), old);
          kind.validateStatus(object, old);
          expect(kind.graceSeconds(object, undefined)).toBeGreaterThanOrEqual(0);
        }),
        { numRuns: 40 },
      );
    });

    test('no function throws on arbitrary JSON', () => {
      const json = fc.jsonValue({ maxDepth: 4 });
      fc.assert(
        fc.property(json, json, json, (spec, status, rest) => {
          const object = asObject(kind, { ...(isObject(rest) ? rest : {}), spec, status });
          const old = asObject(kind, { spec: status, status: spec });
          kind.prepareCreate(object);
          kind.defaults(object);
          kind.validate(object);
          kind.prepareUpdate(object, old);
          kind.validateUpdate(object, old);
          kind.warnings(object);
          expect(kind.printer.row(object, NOW_MS)).toHaveLength(kind.printer.columns.length);
          for (const read of kind.selectableFields.values()) expect(typeof read(object)).toBe('string');
        }),
        { numRuns: 60 },
      );
    });

    test('rows of typed objects hold plain cells', () => {
      fc.assert(
        fc.property(typed, (value) => {
          for (const cell of kind.printer.row(asObject(kind, value), NOW_MS)) {
            expect(['string', 'number', 'boolean']).toContain(typeof cell);
          }
        }),
        { numRuns: 20 },
      );
    });
  },
);
