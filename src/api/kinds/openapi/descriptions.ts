import { gunzipSync } from 'node:zlib';

/** Texts by generated type and field; the type's own text is under ''. */
export type Descriptions = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Loads the descriptions. 1 MB of text that only documents need: not kept, callers cache what they build. */
export async function loadDescriptions(): Promise<Descriptions> {
  const { DESCRIPTIONS } = await import('../schema/descriptions.generated.ts');
  return JSON.parse(gunzipSync(Buffer.from(DESCRIPTIONS, 'base64')).toString('utf8')) as Descriptions;
}
