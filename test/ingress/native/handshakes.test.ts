/** TLS handshakes that do not come to their end, on the native engine. */
process.env['WEFT_INGRESS_ENGINE'] = 'native';
await import('../handshakes.test.ts');
