/** The suites of attacks and framing, byte for byte the same over TLS on the native engine. */
process.env['WEFT_INGRESS_ENGINE'] = 'native';
process.env['WEFT_INGRESS_WAY'] = 'tls';
await import('../attacks-http1.test.ts');
await import('../fuzz.test.ts');
