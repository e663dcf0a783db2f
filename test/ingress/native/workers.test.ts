/** The same with two workers: sockets of their own, one set of tables, counts and logs together. */
process.env['WEFT_INGRESS_WORKERS'] = '2';
await import('./engine.test.ts');
