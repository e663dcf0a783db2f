/** Bytes of one CEL expression; longer ones do not compile. */
export const CEL_EXPRESSION_MAX_BYTES = 64 * 1024;
/** Nesting of one CEL expression. */
export const CEL_DEPTH_MAX = 200;
/** Steps one expression may take; about ten million a second on one core. */
export const CEL_EXPRESSION_STEPS_MAX = 1_000_000;
/** Steps that all rules of one object may take together. */
export const CEL_OBJECT_STEPS_MAX = 2_000_000;
/** Steps that one question to the authorizer takes: some 28 in an expression, as upstream. */
export const CEL_ACCESS_CHECK_STEPS = 35_000;
/** Characters of a string, items of a list that an expression may make. */
export const CEL_VALUE_MAX_LENGTH = 1_000_000;
/** Characters of a regular expression. */
export const CEL_PATTERN_MAX_LENGTH = 4_096;
