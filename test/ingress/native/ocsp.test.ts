/** OCSP answers, shown by the native engine. */
process.env['WEFT_INGRESS_ENGINE'] = 'native';
await import('../ocsp.test.ts');
