import util from 'node:util';

/**
 * To be imported before http-proxy. It calls util._extend, which is Object.assign under an older name, and for
 * which Node writes a deprecation warning into every user's terminal (DEP0060).
 */
Object.assign(util, { _extend: Object.assign });
