import { defineConfig } from 'vitest/config';

/** For the tests that run inside the virtual machine only; see ../ipvs.test.ts. */
const config = defineConfig({
  test: {
    include: ['test/netns/in-vm/*.in-vm.ts'],
    testTimeout: 240_000,
    hookTimeout: 240_000,
    pool: 'forks',
    maxWorkers: 1,
  },
});

export { config as default };
