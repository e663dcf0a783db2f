/** The suites of attacks and framing, byte for byte the same on the native engine. */
process.env['WEFT_INGRESS_ENGINE'] = 'native';
await import('../attacks-http1.test.ts');
await import('../fuzz.test.ts');
