#!/bin/sh
#
# How statements are compared, for the scripts of this folder that source it
# after lib.sh.
#
# A pgbench run draws for each transaction one of the compared scripts, so that
# all meet the same state of the machine, on the same connection.  A round is
# such a run for every case; there are many rounds, of which the report takes
# medians.  Round 0 only warms up.
#
# Each script has a base: the same with SELECT 1 in place of each measured
# statement.  What a statement costs is the difference of the transactions'
# latencies, so it is the query or the login alone, without the way from client
# to server and back, which would hide differences.  The "raw" latencies of
# the statements are kept too.
#
# Client and server take turns, so both are kept on one CPU (taskset, where
# there is one): to wake the other out of its sleep would cost more than most
# of the statements, and leave caches cold.
#
# Prepared statements use their generic plan from the first execution on
# (plan_cache_mode).  They would settle on it after five, but the planning of
# those would be charged to the form that has parameters, the hand-written one.
# shellcheck disable=SC2154,SC2034 # of lib.sh and the script: $here, $work, $round; for it: $tab, $one_cpu

tab=$(printf '\t')

# The CPUs that this process may use, and one of them; "" without taskset.
find_cpus() {
	all_cpus='' one_cpu=''
	if command -v taskset >/dev/null; then
		all_cpus=$(taskset -pc $$ | sed 's/.*: *//')
		one_cpu=${all_cpus##*[!0-9]}
	fi
}

# on_cpus CPUS COMMAND...: run a command, and the server's new backends, there.
on_cpus() {
	cpus=$1
	shift
	[ -z "$cpus" ] || taskset -pc "$cpus" "$(head -n 1 "$work/data.$PGPORT/postmaster.pid")" >"$work/output"
	${cpus:+taskset -c "$cpus"} "$@"
}

# add_script NAME <SCRIPT: a script for pgbench, and its base.
add_script() {
	mkdir -p "$(dirname "$work/script/$1")" "$(dirname "$work/base/$1")"
	cat >"$work/script/$1.sql"
	sed 's,^/\* measured \*/.*,SELECT 1;,' "$work/script/$1.sql" >"$work/base/$1.sql"
}

# Those of pgbench/*.sql.
add_scripts() {
	for script in "$here"/pgbench/*.sql; do
		name=${script##*/}
		add_script "${name%.sql}" <"$script"
	done
}

# measure CPUS DATABASE ROLE LENGTH NAME=VALUE... SCRIPT...: pgbench with these
# scripts and their bases, of which each transaction takes one.  LENGTH is
# pgbench's option: -t TRANSACTIONS or -T SECONDS.
measure() {
	where=$1 database=$2 role=$3 length=$4
	shift 4
	for argument in "$@"; do
		case $argument in
		*=*) set -- "$@" -D "$argument" ;;
		*) set -- "$@" -f "$work/script/$argument.sql" -f "$work/base/$argument.sql" ;;
		esac
		shift
	done
	rm -f "$work"/transactions.*
	# shellcheck disable=SC2086 # $length is two words
	PGOPTIONS='-c plan_cache_mode=force_generic_plan' on_cpus "$where" \
		pgbench -n -r -l --log-prefix="$work/transactions" -M prepared -c 1 \
		-U "$role" $length -D cold=1 "$@" "$database" \
		>"$work/pgbench" 2>"$work/errors" || fail "pgbench: $(cat "$work/errors")"
}

# keep KEY: add what the last measure says to the samples, unless it was of the
# round for warming up.
keep() {
	[ "$round" -eq 0 ] ||
		sort -n -k 3,3 "$work"/transactions.* |
		awk -v key="$1" -f "$here/latencies.awk" "$work/pgbench" - >>"$work/samples"
}
