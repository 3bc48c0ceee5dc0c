#!/usr/bin/env bash
# Runs a command under torchrun on two nodes that share nothing but a network: two network namespaces on this machine,
# each with its own address. Needs root (or CAP_NET_ADMIN and CAP_SYS_ADMIN) and torchrun on PATH.
#
#   scripts/two_nodes.sh static|c10d RANKS_PER_NODE COMMAND [ARGUMENT]...
#   scripts/two_nodes.sh check                  exits with 3 where namespaces are not allowed, and says so
set -euo pipefail
mode=$1

tag=lt$$
name() { echo "$tag-$1"; } # of node 0 or 1: its namespace
address() { echo "10.211.$((($$ / 250) % 250)).$(($1 + 1))"; }

clean() {
  for node in 0 1; do ip netns del "$(name $node)" 2>/dev/null || true; done # takes the interfaces along
}
trap clean EXIT

if ! command -v ip >/dev/null || ! ip netns add "$(name 0)" 2>/dev/null; then
  echo "network namespaces are not allowed here (they need ip from iproute2, and root)"
  exit 3
fi
[ "$mode" != check ] || exit 0
ranks=$2
shift 2

ip netns add "$(name 1)"
ip link add "${tag}a" type veth peer name "${tag}b"
ip link set "${tag}a" netns "$(name 0)" name data0
ip link set "${tag}b" netns "$(name 1)" name data0
for node in 0 1; do
  ip -n "$(name $node)" address add "$(address $node)/24" dev data0
  ip -n "$(name $node)" link set data0 up
  ip -n "$(name $node)" link set lo up
done

on_node() { # node, options of torchrun, --, command
  local node=$1 options=()
  shift
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  shift
  GLOO_SOCKET_IFNAME=data0 ip netns exec "$(name "$node")" \
    torchrun --no-python --nnodes 2 --nproc-per-node "$ranks" "${options[@]}" "$@"
}

node_options() { # node
  case $mode in
    static) echo --node-rank "$1" --master-addr "$(address 0)" --master-port 29500 ;;
    # Both nodes bear this machine's name, so node 0 has to be told that the endpoint is its own.
    c10d) echo --rdzv-backend c10d --rdzv-endpoint "$(address 0):29500" --rdzv-id two-nodes \
      --local-addr "$(address "$1")" --rdzv-conf "is_host=$((1 - $1))" ;;
  esac
}

# shellcheck disable=SC2046 # the options are words
on_node 1 $(node_options 1) -- "$@" &
other=$!
status=0
# shellcheck disable=SC2046
on_node 0 $(node_options 0) -- "$@" || status=$?
wait "$other" || status=$?
exit "$status"
