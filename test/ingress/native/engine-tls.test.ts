/** The borders of the fast path, and that nothing leaks, over TLS. */
process.env['WEFT_INGRESS_ENGINE'] = 'native';
process.env['WEFT_INGRESS_WAY'] = 'tls';
await import('./engine.test.ts');
