import { existsSync } from 'node:fs';
import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { programFiles, projectFiles, ROOT, textOf } from './support/source-files.ts';

/** What must not stand in the program, where it may, and what to use instead. */
const BANNED: readonly { what: string; pattern: RegExp; except?: RegExp; instead: string }[] = [
  { what: 'console', pattern: /\bconsole\.\w/, instead: 'the injected Logger, or context.stdout in src/cli' },
  {
    what: 'process',
    pattern:
      /(?<![\w.#'"`/-])process\.(env|argv|exit|exitCode|cwd|chdir|pid|getuid|nextTick|on|once|off|std(in|out|err)|kill|hrtime|memoryUsage|umask)\b/,
    except: /^src\/(cli|node)\/|worker\.ts$/,
    instead: 'take it as an option from src/cli',
  },
  {
    what: 'child_process',
    pattern: /'node:child_process'/,
    except: /^src\/net\/(exec|process)\.ts$/,
    instead: 'src/net/exec.ts',
  },
  { what: 'koffi', pattern: /'koffi'/, except: /^src\/net\//, instead: 'a typed wrapper in src/net' },
  {
    what: 'Math.random',
    pattern: /Math\.random\(/,
    except: /^src\/(cli|node)\//,
    instead: 'random from deps',
  },
  {
    what: 'Date.now',
    pattern: /Date\.now\(/,
    except: /^src\/base\/clock\.ts$|^src\/cli\//,
    instead: 'Clock.nowMs',
  },
  {
    what: 'setTimeout',
    pattern: /(?<![.\w])set(Timeout|Interval)\(/,
    except: /^src\/base\/clock\.ts$|worker\.ts$/,
    instead: 'Clock.setTimer',
  },
  { what: 'default export', pattern: /^export default/m, instead: 'a named export' },
  {
    what: 'unfinished work',
    pattern: /\b(TODO|FIXME|XXX)\b/,
    instead: 'doing it, or an honest limit in the docs',
  },
  { what: 'any', pattern: /: any\b|<any>|as any\b/, instead: 'unknown and a check' },
  { what: 'a weak name', pattern: /\bclass \w*(Manager|Helper|Util|Impl)\b/, instead: 'the thing it is' },
];

const MOST_LINES = 400;

describe('the program', () => {
  const files = programFiles();

  it('has files to look at', () => expect(files.length).toBeGreaterThan(30));

  it.each(BANNED)('uses no $what', ({ pattern, except, instead }) => {
    const found = files.filter((path) => !except?.test(path) && pattern.test(withoutComments(textOf(path))));
    expect(found, `use instead: ${instead}`).toEqual([]);
  });

  it(`keeps each file within ${MOST_LINES} lines`, () => {
    const long = files.filter((path) => !path.includes('.generated.') && lineCount(path) > MOST_LINES);
    expect(long).toEqual([]);
  });

  it('has kebab-case names and no barrels', () => {
    const odd = files.filter(
      (path) => !/^[a-z0-9.-]+\.ts$/.test(posix.basename(path)) || posix.basename(path) === 'index.ts',
    );
    expect(odd).toEqual([]);
  });
});

describe('the repository', () => {
  it('hides no test', () => {
    const hiding = projectFiles().filter(
      (path) =>
        path.startsWith('test/') &&
        path.endsWith('.ts') &&
        path !== 'test/tidy.test.ts' &&
        /\b(it|test|describe)\.(only|skip|todo)\(/.test(textOf(path)),
    );
    expect(hiding).toEqual([]);
  });

  it('has links in its documents that lead somewhere', () => {
    const broken: string[] = [];
    for (const path of projectFiles().filter((file) => file.endsWith('.md'))) {
      for (const match of textOf(path).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)) {
        if (!existsSync(ROOT + posix.join(posix.dirname(path), match[1]!)))
          broken.push(`${path}: ${match[1]}`);
      }
    }
    expect(broken).toEqual([]);
  });

  it('names no path outside of itself', () => {
    const outside = projectFiles().filter(
      (path) =>
        /\.(ts|mjs|json|md|sh|ya?ml)$/.test(path) &&
        path !== 'test/tidy.test.ts' &&
        path !== 'package-lock.json' &&
        /\.\.\/shared|\/work\/(main|shared)/.test(textOf(path)),
    );
    expect(outside).toEqual([]);
  });
});

function lineCount(path: string): number {
  return textOf(path).split('\n').length - 1;
}

/** Drops comments and keeps strings, so that prose may use the words. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`])\/\/.*$/gm, '$1');
}
