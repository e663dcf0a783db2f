/**
 * One seed for all property tests, so that a run can be repeated: what was green stays green on the same tree.
 * New ground is broken by `WEFT_SEED=random npm run unit`, which prints the failing seed.
 */
import fc from 'fast-check';

const FIXED_SEED = 20_261_121;
const asked = process.env['WEFT_SEED'];
if (asked !== 'random') fc.configureGlobal({ seed: asked === undefined ? FIXED_SEED : Number(asked) });
