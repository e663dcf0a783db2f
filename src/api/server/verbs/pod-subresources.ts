import { type FieldError, forbidden, invalid as fieldInvalid, required } from '../../kinds/field-error.ts';
import {
  cloneJson,
  equalJson,
  isObject,
  type JsonObject,
  objectAt,
  objectsAt,
  stringAt,
} from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { decodeObject } from '../http/body.ts';
import { parseMediaType } from '../http/content.ts';
import { jsonReply } from '../http/reply.ts';
import { invalid, methodNotAllowed } from '../status.ts';
import type { SubresourceHandler } from './dispatch.ts';
import { writeRequest } from './options.ts';
import { get } from './read.ts';
import { update } from './update.ts';
import { served } from './versions.ts';
import { patchFunction } from './write.ts';

/** Takes from the sent pod what the subresource may change, into a copy of the stored one. */
type Take = (sent: UnknownObject, old: UnknownObject) => { object: UnknownObject; errors: FieldError[] };

function podSubresource(take: Take): SubresourceHandler {
  return async (call) => {
    const { core, kind, request, info, user } = call;
    if (info.verb === 'get') return await get(core, kind, request, info);
    if (info.verb !== 'update' && info.verb !== 'patch') throw methodNotAllowed();
    const write = writeRequest(request, info, kind, user);
    const body = await request.body();
    const contentType = request.headers['content-type'];
    const change =
      info.verb === 'patch'
        ? patchFunction(kind, parseMediaType(contentType ?? '').type, body)
        : () => decodeObject(kind, body, contentType, write);
    const entry = await update(core, write, {
      replace: info.verb === 'update',
      change: (old) => {
        const sent = decodeObject(kind, { value: change(old), duplicates: [] }, undefined, write);
        kind.defaults(sent);
        const { object, errors } = take(sent, old);
        if (errors.length > 0) throw invalid(kind, info.name, errors);
        const { resourceVersion } = sent.metadata;
        if (resourceVersion) object.metadata.resourceVersion = resourceVersion;
        if (!equalJson(object['spec'], old['spec']))
          object.metadata.generation = (old.metadata.generation ?? 0) + 1;
        return object;
      },
    });
    return jsonReply(200, served(kind, entry));
  };
}

function copyWithSpec(old: UnknownObject): { object: UnknownObject; spec: JsonObject } {
  const object = cloneJson(old);
  const spec = isObject(object['spec']) ? object['spec'] : {};
  object['spec'] = spec;
  return { object, spec };
}

/** pods/NAME/ephemeralcontainers: debug containers are added, never changed or taken away (KEP-277). */
export const ephemeralContainersHandler = podSubresource((sent, old) => {
  const field = 'spec.ephemeralContainers';
  const { object, spec } = copyWithSpec(old);
  const [now, before] = [
    objectsAt(sent['spec'], 'ephemeralContainers'),
    objectsAt(old['spec'], 'ephemeralContainers'),
  ];
  const errors: FieldError[] = [];
  for (const was of before) {
    const is = now.find((one) => one['name'] === was['name']);
    if (!is)
      errors.push(
        forbidden(field, `existing ephemeral containers ${JSON.stringify(was['name'])} may not be removed`),
      );
    else if (!equalJson(is, was)) {
      errors.push(
        forbidden(field, `existing ephemeral containers ${JSON.stringify(was['name'])} may not be changed`),
      );
    }
  }
  const taken = new Set(
    ['containers', 'initContainers'].flatMap((list) =>
      objectsAt(spec, list).map((one) => stringAt(one, 'name')),
    ),
  );
  for (const [index, one] of now.entries()) {
    const at = `${field}[${index}]`;
    const name = stringAt(one, 'name');
    if (name === '') errors.push(required(`${at}.name`));
    else if (taken.has(name))
      errors.push(fieldInvalid(`${at}.name`, name, 'must be unique among all containers'));
    taken.add(name);
    if (stringAt(one, 'image') === '') errors.push(required(`${at}.image`));
  }
  spec['ephemeralContainers'] = cloneJson(now);
  return { object, errors };
});

/** pods/NAME/resize: resources of containers, nothing else (KEP-1287). */
export const resizeHandler = podSubresource((sent, old) => {
  const { object, spec } = copyWithSpec(old);
  const errors: FieldError[] = [];
  for (const list of ['containers', 'initContainers']) {
    const wanted = objectsAt(sent['spec'], list);
    for (const [index, container] of objectsAt(spec, list).entries()) {
      const asked = wanted.find((one) => one['name'] === container['name']);
      if (!asked) {
        errors.push(forbidden(`spec.${list}[${index}]`, 'only resources of containers can be resized'));
        continue;
      }
      for (const field of ['resources', 'resizePolicy']) {
        if (asked[field] !== undefined) container[field] = cloneJson(asked[field]);
      }
      if (Object.keys(objectAt(container, 'resources')).length === 0) container['resources'] = {};
    }
  }
  return { object, errors };
});
