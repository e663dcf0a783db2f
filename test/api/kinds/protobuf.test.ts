import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readEnvelope, readProtobuf } from '../../../src/api/kinds/decode/protobuf.ts';
import { typeNames } from '../../../src/api/kinds/schema/type-table.ts';

/** Bodies that kubectl 1.35 sent for `kubectl create …`, base64. */
const BODIES: readonly {
  readonly command: string;
  readonly body: string;
  readonly type: string;
  readonly want: object;
}[] = [
  {
    command: 'create deployment web --image=nginx:1.2 --replicas=0 --port=80',
    type: 'apps/v1.Deployment',
    body: 'azhzAAoVCgdhcHBzL3YxEgpEZXBsb3ltZW50ErwBCh8KA3dlYhIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2ViEooBCAASDAoKCgNhcHASA3dlYhpwChwKABIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2ViElASMgoFbmdpbngSCW5naW54OjEuMioAMgoKABAAGFAiACoAQgBqAHIAgAEAiAEAkAEAogEAGgAyAEIASgBSAFgAYABoAIIBAIoBAJoBAMIBACICCgAoADgAGgwIABAAGAAgACgAOAAaACIA',
    want: {
      metadata: { name: 'web', labels: { app: 'web' } },
      spec: {
        replicas: 0,
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: {
            containers: [
              { name: 'nginx', image: 'nginx:1.2', ports: [{ containerPort: 80 }], resources: {} },
            ],
          },
        },
        strategy: {},
      },
      status: {},
    },
  },
  {
    command: 'create secret generic s --from-literal=a=b',
    type: 'core/v1.Secret',
    body: 'azhzAAoMCgJ2MRIGU2VjcmV0Eh0KEQoBcxIAGgAiACoAMgA4AEIAEgYKAWESAWIaABoAIgA=',
    want: { metadata: { name: 's' }, data: { a: 'Yg==' } },
  },
  {
    command: "create ingress i --rule='foo.com/bar=svc:80,tls=t'",
    type: 'networking/v1.Ingress',
    body: 'azhzAAofChRuZXR3b3JraW5nLms4cy5pby92MRIHSW5ncmVzcxJUChEKAWkSABoAIgAqADIAOABCABI7EgwKB2Zvby5jb20SAXQaKwoHZm9vLmNvbRIgCh4KHAoEL2JhchINIgsKA3N2YxIECgAQUBoFRXhhY3QaAgoAGgAiAA==',
    want: {
      metadata: { name: 'i' },
      spec: {
        tls: [{ hosts: ['foo.com'], secretName: 't' }],
        rules: [
          {
            host: 'foo.com',
            http: {
              paths: [
                {
                  path: '/bar',
                  pathType: 'Exact',
                  backend: { service: { name: 'svc', port: { number: 80 } } },
                },
              ],
            },
          },
        ],
      },
      status: { loadBalancer: {} },
    },
  },
  {
    command: 'create quota q --hard=cpu=1,memory=1G',
    type: 'core/v1.ResourceQuota',
    body: 'azhzAAoTCgJ2MRINUmVzb3VyY2VRdW90YRIzChEKAXESABoAIgAqADIAOABCABIcCgoKA2NwdRIDCgExCg4KBm1lbW9yeRIECgIxRxoAGgAiAA==',
    want: { metadata: { name: 'q' }, spec: { hard: { cpu: '1', memory: '1G' } }, status: {} },
  },
  {
    command: 'autoscale deployment web --min=0 --max=3 --cpu=50%',
    type: 'autoscaling/v2.HorizontalPodAutoscaler',
    body: 'azhzAAopCg5hdXRvc2NhbGluZy92MhIXSG9yaXpvbnRhbFBvZEF1dG9zY2FsZXISXwoTCgN3ZWISABoAIgAqADIAOABCABJCChoKCkRlcGxveW1lbnQSA3dlYhoHYXBwcy92MRgDIiIKCFJlc291cmNlIhYKA2NwdRIPCgtVdGlsaXphdGlvbiAyGgQYACAAGgAiAA==',
    want: {
      metadata: { name: 'web' },
      spec: {
        scaleTargetRef: { kind: 'Deployment', name: 'web', apiVersion: 'apps/v1' },
        maxReplicas: 3,
        metrics: [
          {
            type: 'Resource',
            resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } },
          },
        ],
      },
      status: { desiredReplicas: 0 },
    },
  },
];

describe('what kubectl sends', () => {
  test.each(BODIES)('$command', ({ body, type, want }) => {
    const envelope = readEnvelope(Buffer.from(body, 'base64'));
    expect(envelope.ok).toBe(true);
    if (!envelope.ok) return;
    expect(readProtobuf(envelope.raw, type)).toEqual({ ok: true, object: want });
  });
});

describe('wrong bytes are an answer', () => {
  const cases: readonly (readonly [string, readonly number[], RegExp])[] = [
    ['no envelope', [1, 2, 3], /does not appear to be a protobuf message/],
    ['a length beyond the end', [0x6b, 0x38, 0x73, 0, 0x12, 0x7f, 1], /unexpected EOF/],
    ['a varint that does not end', [0x6b, 0x38, 0x73, 0, ...Array<number>(12).fill(0xff)], /overflow/],
    ['field number zero', [0x6b, 0x38, 0x73, 0, 0x02, 0], /illegal tag/],
    ['a group', [0x6b, 0x38, 0x73, 0, 0x0b], /illegal wireType/],
  ];
  test.each(cases)('%s', (_name, bytes, message) => {
    const read = readEnvelope(Uint8Array.from(bytes));
    expect(read.ok).toBe(false);
    if (!read.ok) expect(read.message).toMatch(message);
  });

  test('a scalar where a message is due', () => {
    expect(readProtobuf(Uint8Array.from([0x08, 1]), 'core/v1.Secret')).toEqual({
      ok: false,
      message: 'proto: wrong wireType = 0',
    });
  });

  test('a schema that nests for ever stays bounded', () => {
    let raw = Buffer.alloc(0);
    for (let i = 0; i < 3000; i++) {
      const length: number[] = [];
      let rest = raw.length;
      do {
        length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
        rest >>= 7;
      } while (rest > 0);
      // JSONSchemaProps.not is field 27.
      raw = Buffer.concat([Buffer.from([0xda, 0x01, ...length]), raw]);
    }
    expect(readProtobuf(raw, 'apiextensions/v1.JSONSchemaProps')).toEqual({
      ok: false,
      message: 'exceeded max depth of 512',
    });
  });

  test('never throws', () => {
    const names = typeNames();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(...names), (bytes, name) => {
        expect(typeof readProtobuf(bytes, name).ok).toBe('boolean');
        expect(typeof readEnvelope(Buffer.concat([Buffer.from('k8s\0'), bytes])).ok).toBe('boolean');
      }),
      { numRuns: 2000 },
    );
  });

  test('never throws on damaged real messages', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...BODIES),
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        ({ body, type }, at, byte) => {
          const bytes = Buffer.from(body, 'base64').subarray(20);
          bytes[at % bytes.length] = byte;
          expect(typeof readProtobuf(bytes, type).ok).toBe('boolean');
        },
      ),
      { numRuns: 1000 },
    );
  });
});
