import { ApiError } from './client.ts';

/** What was asked of one object, or undefined where the server has no such object (404). Other faults reject as they are. */
export async function orUndefined<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}
