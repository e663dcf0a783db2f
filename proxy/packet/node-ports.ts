import type { NodeSettings } from '../../endpoints/node-view.ts';
import type { ModeTraits } from '../mode-traits.ts';
import { anyContains, parsed } from './source.ts';

const LOOPBACK_TEXT = '127.0.0.1';

/** Decides on which of the node's addresses node ports answer (nodePortAddresses). */
export function nodePortTest(node: NodeSettings, traits: ModeTraits): (address: string) => boolean {
  const words = node.nodePortAddresses;
  const cidrs = parsed(words.filter((word) => word !== 'primary'));
  const usePrimary =
    words.includes('primary') || (words.length === 0 && traits.nodePortDefault === 'primary');
  const useAll = words.length === 0 && traits.nodePortDefault === 'all';
  const primary = new Set(node.primaryAddresses);
  return (address) => {
    if (address.startsWith('127.') || address === '::1') {
      const named = address === LOOPBACK_TEXT && anyContains(cidrs, address);
      const wanted = useAll || named || cidrs.some(({ prefixBits }) => prefixBits === 0);
      return wanted && node.family === 'IPv4' && traits.loopbackNodePorts && node.localhostNodePorts;
    }
    return useAll || (usePrimary && primary.has(address)) || anyContains(cidrs, address);
  };
}

/** The concrete addresses, for modes that open one socket each. */
export function nodePortAddresses(node: NodeSettings, traits: ModeTraits): readonly string[] {
  const answers = nodePortTest(node, traits);
  const loopback = node.family === 'IPv4' ? [LOOPBACK_TEXT] : [];
  return [...new Set([...loopback, ...node.addresses])].filter(answers);
}

/**
 * Where health checks of services answer: the wildcard address, or those that nodePortAddresses narrow it to, of
 * loopback too (on which a mode may offer no node ports).
 */
export function healthCheckAddresses(node: NodeSettings, traits: ModeTraits): readonly string[] {
  const isIPv4 = node.family === 'IPv4';
  const everywhere = [isIPv4 ? '0.0.0.0' : '::'];
  const words = node.nodePortAddresses;
  const cidrs = parsed(words.filter((word) => word !== 'primary'));
  if (cidrs.some(({ prefixBits }) => prefixBits === 0)) return everywhere;
  if (words.length === 0 && traits.nodePortDefault === 'all') return everywhere;
  const usePrimary = words.length === 0 || words.includes('primary');
  const own = [isIPv4 ? LOOPBACK_TEXT : '::1', ...node.addresses];
  const named = own.filter(
    (address) => anyContains(cidrs, address) || (usePrimary && node.primaryAddresses.includes(address)),
  );
  // a Node object may name addresses that this host has not (yet)
  return words.length === 0 && named.length === 0 ? everywhere : named;
}
