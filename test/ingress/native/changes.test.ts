/** Tables, endpoints and listeners that change under load, and annotations beside the fast path, on the native engine. */
process.env['WEFT_INGRESS_ENGINE'] = 'native';
await import('../change-under-load.test.ts');
await import('../annotations-upstream.test.ts');
