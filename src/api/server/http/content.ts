/** Content negotiation: which form of a reply the client asks for. */
export type ReplyForm = 'json' | 'yaml' | 'table' | 'partial-metadata';

export interface Accepted {
  readonly form: ReplyForm;
  /** meta.k8s.io version of table and partial-metadata. */
  readonly metaVersion: string;
}

const JSON_FORM: Accepted = { form: 'json', metaVersion: 'v1' };
const YAML_FORM: Accepted = { form: 'yaml', metaVersion: 'v1' };
const META_VERSIONS = new Set(['v1', 'v1beta1']);

interface MediaType {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** The media types of an Accept header in order; weights are ignored, as clients list by taste. */
export function parseMediaTypes(header: string): MediaType[] {
  return header
    .split(',')
    .map((part) => parseMediaType(part))
    .filter((media) => media.type !== '');
}

const PLAIN_JSON: MediaType = { type: 'application/json', parameters: new Map() };

export function parseMediaType(text: string): MediaType {
  if (text === PLAIN_JSON.type) return PLAIN_JSON; // nearly all of them
  const [type = '', ...rest] = text.split(';');
  const parameters = new Map<string, string>();
  for (const parameter of rest) {
    const [key = '', value = ''] = parameter.split('=');
    parameters.set(key.trim().toLowerCase(), value.trim());
  }
  return { type: type.trim().toLowerCase(), parameters };
}

/** Undefined = nothing the client accepts can be made (406). */
export function negotiate(accept: string | undefined): Accepted | undefined {
  if (!accept || accept === 'application/json' || accept === '*/*') return JSON_FORM;
  for (const media of parseMediaTypes(accept)) {
    const accepted = offer(media);
    if (accepted) return accepted;
  }
  return undefined;
}

function offer({ type, parameters }: MediaType): Accepted | undefined {
  const as = parameters.get('as');
  if (type === 'application/yaml' && as === undefined) return YAML_FORM;
  if (type !== 'application/json' && type !== '*/*' && type !== 'application/*') return undefined;
  if (as === undefined) return JSON_FORM;
  const metaVersion = parameters.get('v') ?? '';
  if (parameters.get('g') !== 'meta.k8s.io' || !META_VERSIONS.has(metaVersion)) return undefined;
  if (as === 'Table') return { form: 'table', metaVersion };
  if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') {
    return { form: 'partial-metadata', metaVersion };
  }
  return undefined;
}
