import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ADMISSION_POLICY_RULES } from '../../../src/api/kinds/rules/admission-policy.ts';
import { ruleErrors } from '../../../src/api/kinds/custom/rule-checks.ts';
import type { FieldError } from '../../../src/api/kinds/field-error.ts';
import type { JsonObject } from '../../../src/api/kinds/json-value.ts';
import type { UnknownObject } from '../../../src/api/kinds/meta.ts';
import { ROOT } from '../../support/source-files.ts';

type Answers = readonly string[];
interface Cases {
  readonly schema: JsonObject;
  readonly rules: readonly (readonly [rule: string, answers: Answers])[];
  readonly definitions: Readonly<Record<string, readonly [schema: JsonObject, answers: Answers]>>;
  readonly policies: readonly (readonly [spec: JsonObject, answers: Answers])[];
}

const CASES = JSON.parse(readFileSync(`${ROOT}test/cases/cel-checks.json`, 'utf8')) as Cases;
const RULE = /^Invalid value: \{.*?"OptionalOldSelf":(?:null|true|false)\}: /s;
const PATH = 'spec.validation.openAPIV3Schema';
const HINT =
  '(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)';

/** In the form of the file. */
const shown = (errors: readonly FieldError[]): string[] =>
  errors
    .map(({ field, message }) => {
      const text = message
        .replaceAll(/selfType\d+/g, 'selfType')
        .replace(RULE, '')
        .replace(HINT, '(...)')
        .replaceAll(PATH, '~');
      return `${field.replace(PATH, '~')}: ${text}`;
    })
    .toSorted();

function expectAnswers(errors: readonly FieldError[], answers: Answers): void {
  if (answers[0] === '*') expect(errors).not.toEqual([]);
  else expect(shown(errors)).toEqual(answers);
}

const ofSchema = (schema: JsonObject): FieldError[] => ruleErrors(schema, PATH, true);

describe('rules of definitions, as kube-apiserver judges them', () => {
  it.each(CASES.rules)('%s', (rule, answers) => {
    const spec = { ...CASES.schema, 'x-kubernetes-validations': [{ rule, message: 'm' }] };
    expectAnswers(ofSchema({ type: 'object', properties: { spec } }), answers);
  });

  it.each(Object.entries(CASES.definitions))('%s', (_name, [schema, answers]) => {
    expectAnswers(ofSchema(schema), answers);
  });

  it('are not weighed again while their schema stays as it is', () => {
    const rule = 'self.all(a, self.all(b, a == b))';
    const list = { type: 'array', maxItems: 2000, items: { type: 'integer' } };
    const schema = {
      type: 'object',
      properties: { list: { ...list, 'x-kubernetes-validations': [{ rule }] } },
    };
    expect(ruleErrors(schema, '~', true)).toHaveLength(1);
    expect(ruleErrors(schema, '~', false)).toEqual([]);
  });

  it.each([
    ['optionals after optionals', `self.?a${'.optMap(x, [x])'.repeat(150)}.hasValue()`],
    [
      'comparisons beside one another',
      `[${Array.from({ length: 5000 }, () => 'self==self').join()}].size() > 0`,
    ],
  ])('of many %s are judged in time', (_name, rule) => {
    const spec = {
      type: 'object',
      properties: { a: { type: 'integer' } },
      'x-kubernetes-validations': [{ rule }],
    };
    expect(ofSchema({ type: 'object', properties: { spec } }).length).toBeLessThan(4);
  });

  it('show the rule as Go prints it', () => {
    const spec = { type: 'string', maxLength: 5, 'x-kubernetes-validations': [{ rule: 'self > 1 && true' }] };
    const [error] = ofSchema({ type: 'object', properties: { spec } });
    expect(error?.message).toContain(
      'Invalid value: {"Rule":"self \\u003e 1 \\u0026\\u0026 true","Message":"","MessageExpression":"","Reason":null,"FieldPath":"","OptionalOldSelf":null}: compilation failed: ERROR: <input>:1:6: ',
    );
  });
});

const POLICY = { apiVersion: 'admissionregistration.k8s.io/v1', kind: 'ValidatingAdmissionPolicy' };

describe('expressions of policies, as kube-apiserver judges them', () => {
  const matchConstraints = {
    resourceRules: [
      { apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['deployments'] },
    ],
  };
  it.each(CASES.policies.map(([spec, answers]) => [JSON.stringify(spec), answers] as const))(
    '%s',
    (text, answers) => {
      const spec = { matchConstraints, ...(JSON.parse(text) as JsonObject) };
      const policy: UnknownObject = { ...POLICY, metadata: { name: 'p.example.com' }, spec };
      ADMISSION_POLICY_RULES.defaults?.(policy);
      expectAnswers(ADMISSION_POLICY_RULES.validate?.(policy) ?? [], answers);
    },
  );
});
