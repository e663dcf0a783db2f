import type { Fields } from '../http/fields.ts';
import type { RoutedRequest } from './context.ts';
import { applyCors } from '../access/cors.ts';

/** What policies do to the fields of every answer: CORS, HSTS, custom headers, Location and cookie rewriting. */
export function shapeResponse(request: RoutedRequest, status: number, fields: Fields): void {
  const { policy, hostHasTls } = request.route;
  if (policy.cors && status !== 204) applyCors(policy.cors, request.head.fields.get('origin'), fields);
  const { hsts, addHeaders } = request.settings;
  if (hsts && hostHasTls && request.scheme === 'https') fields.set('Strict-Transport-Security', hsts.value);
  for (const [name, value] of addHeaders) fields.set(name, value);
}
