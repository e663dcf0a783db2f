/** All case files, plain and over TLS, on the native engine. */
process.env['WEFT_INGRESS_ENGINE'] = 'native';
await import('../cases.test.ts');
