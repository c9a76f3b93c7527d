#!/bin/sh
#
# For bench/report: a login with a random key, as their number grows.  All have
# been used since the server started, as those of one that has run for a while.
#
#   revdesk  revdesk_authenticate(), counting the use in shared memory
#   noting   the least that a login in PL/pgSQL has to do that finds a key and
#            updates its last_used_at
#   lookup   no login, but one random row by its primary key
#
# The cost for the client is the transaction's, COMMIT included, without that of
# one that does SELECT 1.  The server's view is the executor's time of the
# statement by pg_stat_statements, in runs of their own, since tracking costs too.
# shellcheck disable=SC2154 # of bench/report and what it sources

keys_ways='revdesk noting lookup'

load_keys() {
	for way in $keys_ways; do
		add_script "auth/$way" <"$here/pgbench/auth_$way.sql"
	done
	for keys in $key_numbers; do
		say "loading $keys keys"
		createdb "keys$keys"
		sql "keys$keys" auth_keys.sql -v keys="$keys" -v tenants=1000
		sql "keys$keys" auth_revdesk.sql -v keys="$keys" -v tenants=1000 >"$work/output"
		use_keys "$keys"
		sql "keys$keys" warm_up.sql
		ask -d "keys$keys" -c 'VACUUM ANALYZE'
	done
}

# use_keys KEYS: log in with each, and wait until what was counted is written.
use_keys() {
	sql "keys$1" auth_use.sql -v keys="$1" >"$work/output"
	until [ "$(ask -d "keys$1" -c "SELECT sum(requests) + revdesk.usage_dropped() >= $1 FROM revdesk.key_usage")" = t ]; do
		sleep 1
	done
}

round_keys() {
	for keys in $key_numbers; do
		# shellcheck disable=SC2046 # a list of words
		set -- keys="$keys" $(scripts_of auth "$keys_ways")
		measure "$one_cpu" "keys$keys" bench_auth "-t $key_logins" "$@"
		keep "keys$tab$keys$tab$round"

		is_slow_round || continue
		ask -d "keys$keys" -c 'SELECT pg_stat_statements_reset()' >"$work/output"
		measure "$one_cpu" "keys$keys" bench_tracked "-t $key_logins" "$@"
		sql "keys$keys" auth_server.sql | sed "s/^/keys$tab$keys$tab$round$tab/" >>"$work/samples"
	done
}

print_keys() {
	printf '## Keys\n\nA login with a random key, each of which was used before.\n\nFor the client, what it adds to a transaction, µs:\n\n'
	table keys cost keys "$keys_ways" 'noting/revdesk>=8 revdesk/lookup<=2'
	printf 'For the client, the statement alone, there and back, µs:\n\n'
	table keys raw keys "$keys_ways" 'noting/revdesk revdesk/lookup'
	printf 'In the server, without COMMIT, µs:\n\n'
	table keys server keys "$keys_ways" 'noting/revdesk revdesk/lookup<=2'
	printf 'Growth from the fewest keys to the most:\n\n'
	growth keys 'cost raw server' "$keys_ways" 1.5
	chart keys keys 'µs' keys cost "$keys_ways"
}
