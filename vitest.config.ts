import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/support/property-seed.ts'],
    // no test judges time: these only end what hangs, on however busy a machine
    testTimeout: 300_000,
    hookTimeout: 300_000,
    pool: 'forks',
    // each thread that runs sources brings Node's WebAssembly stripper of types; V8 13.6 now and then crashes where it replaces a
    // wrapper of its imports (Runtime_TierUpWasmToJSWrapper: "Check failed: jit_page.has_value()"), which it does after so many calls
    execArgv: ['--wasm-wrapper-tiering-budget=1000000000'],
    maxWorkers: 2,
  },
});
