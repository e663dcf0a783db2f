#!/bin/sh
# Runs its arguments in a network namespace of their own in which the addresses of the cases are local.
exec unshare -n sh -c '
  ip link set lo up
  echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind
  for net in 10.0.0.0/8 192.0.2.0/24 192.168.0.0/16 198.51.100.0/24 203.0.113.0/24; do ip route add local $net dev lo; done
  for net in 2001:db8::/31 fd00:20::/32; do ip -6 route add local $net dev lo; done
  exec "$@"' sh "$@"
