/** Client certificates, on the native engine. */
process.env['WEFT_INGRESS_ENGINE'] = 'native';
await import('../client-certificates.test.ts');
