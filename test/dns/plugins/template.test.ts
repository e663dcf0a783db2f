import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isTemplateFunction, runTemplate } from '../../../dns/plugins/template/go-run.ts';
import { parseTemplate } from '../../../dns/plugins/template/go-syntax.ts';
import { EDNS_OPTION } from '../../../dns/wire/numbers.ts';
import { formatRecord } from '../../../dns/wire/zone-text.ts';
import { answers, ask, openServer } from '../support/server.ts';

const DATA = {
  Name: 'ip-10-0-0-7.example.',
  Group: { a: '10', b: '7' },
  Match: ['whole', 'one', 'two'],
  Meta: (key: unknown) => `<${String(key)}>`,
  Empty: '',
};

function rendered(text: string): string {
  const parsed = parseTemplate(text, isTemplateFunction);
  return parsed.ok ? runTemplate(parsed.nodes, DATA) : `not read: ${parsed.reason}`;
}

describe('the template language', () => {
  it.each([
    ['plain', 'plain'],
    ['{{ .Name }} A', 'ip-10-0-0-7.example. A'],
    ['a {{- .Group.a -}} b', 'a10b'],
    ['{{/* gone */}}x', 'x'],
    ['{{ index .Match 1 }}.{{ index .Match 2 }}', 'one.two'],
    ['{{ index .Group "b" }}', '7'],
    ['{{ .Meta "x/y" }}', '<x/y>'],
    ['{{ parseInt .Group.a 16 8 }}', '16'],
    ['{{ .Group.a | printf "%03s|%s" "x" }}', '00x|10'],
    ['{{ printf "%05d %x %q %%" 42 255 "s" }}', '00042 ff "s" %'],
    ['{{ if eq .Group.a "10" }}ten{{ else }}no{{ end }}', 'ten'],
    ['{{ if .Empty }}a{{ else if ne .Group.b "7" }}b{{ else }}c{{ end }}', 'c'],
    ['{{ range .Match }}[{{ . }}]{{ end }}', '[whole][one][two]'],
    ['{{ with .Group }}{{ .a }}-{{ $.Name }}{{ end }}', '10-ip-10-0-0-7.example.'],
    ['{{ len .Match }} {{ (index .Match 0) }}', '3 whole'],
    ['{{ and .Name .Empty | not }} {{ or .Empty "x" }}', 'true x'],
    ['{{ slice .Name 0 2 }}', 'ip'],
    ['{{ if gt (parseInt .Group.a 10 32) 9 }}big{{ end }}', 'big'],
    ['{{ .Name', 'not read: "{{" is never closed'],
    ['{{ if .Name }}x', 'not read: "{{ if }}" has no "{{ end }}"'],
    ['{{ end }}', 'not read: "end" without a beginning'],
    ['{{ nope .Name }}', 'not read: "nope" is neither a field, a value nor a function'],
    ['{{ constructor }}', 'not read: "constructor" is neither a field, a value nor a function'],
    ['{{ ( .Name }}', 'not read: "(" is never closed'],
  ])('%s', (text, wanted) => expect(rendered(text)).toBe(wanted));

  it.each([
    '{{ .Nope }}',
    '{{ .constructor }}',
    '{{ index .Match 9 }}',
    '{{ .Name "x" }}',
    '{{ parseInt "300" 10 8 }}',
  ])('fails for %s', (text) =>
    expect(() => rendered(text)).toThrow(expect.objectContaining({ code: 'TEMPLATE_FAILED' })),
  );

  it('reads or refuses any text, and never throws anything but TEMPLATE_FAILED', () => {
    const piece = fc.oneof(
      fc.constantFrom('{{', '}}', ' if ', ' end ', '.Name', '(', ')', '|', '"', 'else'),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        try {
          rendered(pieces.join(''));
        } catch (error) {
          expect(error).toMatchObject({ code: 'TEMPLATE_FAILED' });
        }
      }),
    );
  });
});

const COREFILE = `. {
  template IN A example. {
    match "^ip-(?P<a>[0-9]*)-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]example[.]$"
    answer "{{ .Name }} 60 IN A {{ .Group.a }}.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"
    additional "{{ .Zone }} 60 IN TXT \\"{{ .Remote }}\\""
    fallthrough
  }
  template IN AAAA example. {
    rcode NOERROR
    authority "example. 60 {{ .Class }} SOA ns.example. host.example. (1 60 60 60 60)"
    ederror 17 "no IPv6 here"
  }
  template IN A strict.test. {
    match ^yes[.]
    answer "{{ .Name }} 60 IN CNAME ip-1-2-3-4.example."
  }
  template IN TXT . {
    answer "{{ .Name }} 60 IN TXT {{ .Question.Qtype }}"
  }
  template IN MX . {
    answer "{{ .Name }} 60 IN MX not-a-number"
  }
  template ANY HINFO . {
    rcode REFUSED
  }
  whoami
}`;

describe('template', () => {
  const once = async (what: string): ReturnType<typeof ask> => {
    await using on = await openServer(COREFILE);
    return await ask(on, what, { edns: { udpSize: 1232, version: 0, dnssecOk: false, options: [] } });
  };

  it('makes records from named groups', async () => {
    const reply = await once('ip-10-0-0-7.example. A');
    expect(answers(reply)).toEqual(['ip-10-0-0-7.example. 60 IN A 10.0.0.7']);
    expect(reply.additionals.map(formatRecord)).toEqual(['example. 60 IN TXT "192.0.2.250"']);
    expect(reply.authoritative).toBe(true);
  });

  it('passes what does not match when told to', async () =>
    expect((await once('www.example. A')).additionals.map(({ type }) => type)).toEqual(['A', 'SRV']));

  it('says SERVFAIL for what does not match otherwise', async () =>
    expect((await once('no.strict.test. A')).rcode).toBe('SERVFAIL'));

  it('counts what it cannot make, by template', async () => {
    await using on = await openServer('. {\ntemplate IN TXT . {\nanswer "{{ .Name }} IN TXT"\n}\n}');
    expect((await ask(on, 'x. TXT')).rcode).toBe('SERVFAIL');
    expect(await on.metrics.metrics()).toMatch(
      /^coredns_template_rr_failures_total\{.*type="TXT",section="answer",template="\{\{ .Name \}\} IN TXT"\} 1$/m,
    );
  });

  it.each([
    ['10-1-2-3.lan. A', ['10.1.2.3']],
    ['192-168-0-9.lan. A', ['192.168.0.9']],
    ['8-8-8-8.lan. A', []],
    ['no-address.lan. A', []],
  ])('computes %s by var and expr', async (what, addresses) => {
    await using on = await openServer(`. {
      template IN A lan {
        match ^(?P<ip>[0-9a-z-]+)[.]lan[.]$
        var ip replace(group('ip'), '-', '.')
        var same ip + ''
        expr ip == same && group(0) == name()
        expr "any(['10.0.0.0/8', '192.168.0.0/16'], incidr(ip, #))"
        answer "{{ .Name }} 60 IN A {{ .Var.ip }}"
        fallthrough
      }
      whoami
    }`);
    const reply = await ask(on, what);
    expect(reply.answers.map(({ data }) => ('address' in data ? data.address : ''))).toEqual(addresses);
  });

  it.each([
    ['var a b', 'there is no function "b"'],
    ['var name 1', '"name" is not a name for a variable, or is taken'],
    ['var 1a 1', '"1a" is not a name for a variable'],
    ['expr any([1])', '"," is missing'],
    ['expr # == 1', 'expr takes at least 1 argument(s), 0 given'],
    ['expr "# == 1"', '"#" is not expected'],
  ])(
    'refuses %s',
    async (line, fault) =>
      await expect(openServer(`. {\ntemplate IN A {\n${line}\n}\n}`)).rejects.toThrow(fault),
  );

  it('denies a type with a reason', async () => {
    const reply = await once('www.example. AAAA');
    expect([reply.rcode, reply.answers.length, reply.authorities.length]).toEqual(['NOERROR', 0, 1]);
    const why = reply.edns?.options.find(({ code }) => code === EDNS_OPTION.EDE);
    expect([why?.data[1], Buffer.from(why!.data.subarray(2)).toString()]).toEqual([17, 'no IPv6 here']);
  });

  it('follows the alias it makes', async () =>
    expect(answers(await once('yes.strict.test. A'))).toEqual([
      'ip-1-2-3-4.example. 60 IN A 1.2.3.4',
      'yes.strict.test. 60 IN CNAME ip-1-2-3-4.example.',
    ]));

  it('answers SERVFAIL with the reason for a record that is none', async () => {
    const reply = await once('x.test. MX');
    expect(reply.rcode).toBe('SERVFAIL');
    const why = reply.edns?.options.find(({ code }) => code === EDNS_OPTION.EDE);
    expect(Buffer.from(why!.data).toString()).toContain('the data of this MX record cannot be read');
  });

  it('sets the response code', async () => expect((await once('x.test. HINFO')).rcode).toBe('REFUSED'));

  it.each([
    ['template IN', 'Corefile:2:1: template takes at least 2 argument(s), 1 given'],
    ['template IN AX', 'Corefile:2:13: "AX" is not a record type or ANY'],
    ['template IN A {\n match (\n}', 'Corefile:3:8: "(" is not a regular expression'],
    [
      'template IN A {\n answer "{{ .Name"\n}',
      'Corefile:3:9: the template cannot be read: "{{" is never closed',
    ],
    [
      'template IN A {\n anwser x\n}',
      'Corefile:3:2: unknown option "anwser" of template; did you mean "answer"?',
    ],
    ['template IN A {\n rcode NXDOMIAN\n}', 'Corefile:3:8: "NXDOMIAN" is not a response code'],
  ])('refuses %j', async (text, fault) => {
    await expect(openServer(`. {\n${text}\n}`)).rejects.toThrow(fault);
  });
});
