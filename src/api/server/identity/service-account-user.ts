import type { UserInfo } from '../http/request.ts';

/** A ServiceAccount as a user, without what a token says besides; authentication adds system:authenticated. */
export function serviceAccountUser(namespace: string, name: string): UserInfo {
  return {
    username: `system:serviceaccount:${namespace}:${name}`,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`],
  };
}
