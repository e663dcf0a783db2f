/** Backends that lie and protocols that pass, on the native engine. */
process.env['WEFT_INGRESS_ENGINE'] = 'native';
await import('../lying-backends.test.ts');
await import('../protocols.test.ts');
