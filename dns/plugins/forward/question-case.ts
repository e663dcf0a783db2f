import { randomBytes } from 'node:crypto';
import type { Message, ResourceRecord } from '../../wire/message.ts';

/** The question with the case of each letter at random (0x20): a forger must guess it too. */
export function mixCase(request: Message): Message {
  const question = request.questions[0];
  if (!question) return request;
  const bits = randomBytes(question.name.length);
  const name = Array.from(question.name, (char, i) =>
    /[a-zA-Z]/.test(char) ? ((bits[i]! & 1) === 0 ? char.toLowerCase() : char.toUpperCase()) : char,
  ).join('');
  return { ...request, questions: [{ ...question, name }] };
}

/** True when reply is a response whose question section has exactly the bytes of ours, case included. */
export function sameQuestion(reply: Uint8Array, asked: Uint8Array): boolean {
  const end = questionEnd(asked);
  if (end < 0 || reply.length < end || (reply[2]! & 0x80) === 0) return false;
  if (reply[4] !== 0 || reply[5] !== 1) return false;
  for (let i = 12; i < end; i++) if (reply[i] !== asked[i]) return false;
  return true;
}

/**
 * True for a header and nothing else that tells of an error: some servers answer so what they do not understand. It can
 * only cost a try, so who forges one gains no answer.
 */
export function isBareError(reply: Uint8Array): boolean {
  const questions = (reply[4]! << 8) | reply[5]!;
  return reply.length === 12 && (reply[2]! & 0x80) !== 0 && questions === 0 && (reply[3]! & 15) !== 0;
}

/** Spells the question, and records owned by it, as the client did. */
export function restoreCase(reply: Message, request: Message): Message {
  const question = request.questions[0];
  if (!question) return reply;
  const folded = question.name.toLowerCase();
  const restore = (record: ResourceRecord): ResourceRecord =>
    record.name.toLowerCase() === folded ? { ...record, name: question.name } : record;
  return {
    ...reply,
    questions: [question],
    answers: reply.answers.map(restore),
    authorities: reply.authorities.map(restore),
  };
}

function questionEnd(bytes: Uint8Array): number {
  let at = 12;
  while (at < bytes.length && bytes[at] !== 0) at += bytes[at]! + 1;
  return at + 5 <= bytes.length ? at + 5 : -1;
}
