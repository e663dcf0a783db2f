import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileExpression, ExpressionError } from '../../../dns/plugins/view/expression.ts';
import { clusterOf } from '../support/cluster.ts';
import { answers, ask, openServer, type AskOptions } from '../support/server.ts';

const FUNCTIONS = {
  name: { args: 0, call: () => 'www.example.org.' },
  n: { args: 0, call: () => 7 },
  add: { args: 2, call: (_env: unknown, [a, b]: readonly unknown[]) => Number(a) + Number(b) },
};

const evaluated = (text: string): unknown => compileExpression(text, FUNCTIONS)({});

describe('view expressions', () => {
  it.each<[string, unknown]>([
    ["name() == 'www.example.org.'", true],
    ['n() > 6 && n() <= 7', true],
    ['not (n() > 6) or false', false],
    ['!true || n() != 7', false],
    ["name() matches '^www[.]'", true],
    ["name() startsWith 'www' and name() endsWith 'org.'", true],
    ["name() contains 'example'", true],
    ["n() in [1, 7] and 'x' not in ['y']", true],
    ['add(1, 2 * 3) + 1 - 4 % 3', 7],
    ['-n() + 7', 0],
    ["n() == 7 ? 'yes' : 'no'", 'yes'],
    ['"a" + `b` + \'c\'', 'abc'],
    ['1 + 2 * 3 == 7', true],
  ])('%s', (text, wanted) => expect(evaluated(text)).toEqual(wanted));

  it.each([
    ['nope()', 'there is no function "nope"; there are name, n, add'],
    ['name', '"name" is a function: write name()'],
    ['add(1)', 'add() takes 2 argument(s), 1 given'],
    ['(1', '")" is missing'],
    ['1 +', 'it ends too early'],
    ['1 2', '"2" is not expected'],
    ['1 @ 2', '"@ 2" cannot be read'],
    ["name() matches '('", '"(" is not a regular expression'],
    ['name() matches n()', 'must be a text'],
    ['constructor()', 'there is no function "constructor"'],
    ['('.repeat(100), 'nested deeper than 64'],
  ])('refuses %s', (text, reason) => expect(() => compileExpression(text, FUNCTIONS)).toThrow(reason));

  it('fails on values of the wrong kind', () =>
    expect(() => evaluated("n() > 'x'")).toThrow('"x" is not a number'));

  it('reads or refuses any text', () => {
    const piece = fc.oneof(
      fc.constantFrom('(', ')', 'name()', ' and ', '!', "'", '[', ',', ' in ', '7'),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
        try {
          evaluated(pieces.join(''));
        } catch (error) {
          expect(error).toBeInstanceOf(ExpressionError);
        }
      }),
    );
  });
});

const COREFILE = `example.org {
  view inside {
    expr incidr(client_ip(), '10.0.0.0/8') && type() in ['A', 'AAAA']
    expr name() != "out.example.org."
  }
  hosts {
    192.0.2.1 www.example.org out.example.org
  }
}
example.org {
  view tcp {
    expr proto() == 'tcp'
  }
  hosts {
    192.0.2.2 www.example.org
  }
}
example.org {
  hosts {
    192.0.2.3 www.example.org out.example.org
  }
}`;

describe('view', () => {
  it.each<[string, string, AskOptions, string[]]>([
    ['the first block whose view agrees', 'www', { client: '10.1.2.3' }, ['192.0.2.1']],
    ['the next one for another network', 'www', { client: '11.1.2.3' }, ['192.0.2.3']],
    ['by transport', 'www', { client: '11.1.2.3', transport: 'tcp' }, ['192.0.2.2']],
    ['every expression must hold', 'out', { client: '10.1.2.3' }, ['192.0.2.3']],
  ])('%s', async (_what, label, options, wanted) => {
    await using on = await openServer(COREFILE);
    const reply = await ask(on, `${label}.example.org. A`, options);
    expect(answers(reply).map((line) => line.split(' ').at(-1))).toEqual(wanted);
  });

  it('takes an expression in quotes as a whole', async () => {
    await using on = await openServer(
      '. {\nview v {\nexpr "type() == \'A\' && len(name()) > 1"\n}\nwhoami\n}',
    );
    expect((await ask(on, 'x. A')).rcode).toBe('NOERROR');
    expect((await ask(on, 'x. MX')).rcode).toBe('REFUSED');
  });

  it('turns away what an expression cannot be evaluated for, and counts it', async () => {
    await using on = await openServer('. {\nview odd {\nexpr client_ip() > 5\n}\nwhoami\n}');
    expect((await ask(on, 'x. A')).rcode).toBe('REFUSED');
    expect(await on.metrics.metrics()).toContain('weft_dns_view_expression_failures_total{view="odd"} 1');
  });

  it('knows facts when metadata is there', async () => {
    const corefile = `. {
  metadata
  view mine {
    expr metadata('view/name') == 'mine'
  }
  whoami
}`;
    await using on = await openServer(corefile);
    expect((await ask(on, 'x. A')).rcode).toBe('NOERROR');
  });

  it('keeps the compiled table of the next block from answering past it', async () => {
    const cluster = clusterOf([]);
    const corefile = `cluster.local {
  view blocked {
    expr incidr(client_ip(), '10.0.0.0/8')
  }
  acl {
    block
  }
  whoami
}
cluster.local {
  kubernetes
}`;
    await using on = await openServer(corefile, { cluster });
    expect((await ask(on, 'x.y.svc.cluster.local. A', { client: '10.0.0.1' })).rcode).toBe('REFUSED');
    expect((await ask(on, 'x.y.svc.cluster.local. A', { client: '11.0.0.1' })).rcode).toBe('NXDOMAIN');
  });

  it.each([
    ['view', 'Corefile:2:1: view takes 1 argument(s), 0 given'],
    [
      'view v {\n expr nam() == 1\n}',
      'Corefile:3:7: the expression cannot be read: there is no function "nam"',
    ],
    ['view v {\n exp x\n}', 'Corefile:3:2: unknown option "exp" of view; did you mean "expr"?'],
  ])('refuses %j', async (text, fault) => {
    await expect(openServer(`. {\n${text}\n}`)).rejects.toThrow(fault);
  });
});
