/** All case files, over plain HTTP, on the native engine. */
process.env['WEFT_INGRESS_ENGINE'] = 'native';
await import('../cases.test.ts');
