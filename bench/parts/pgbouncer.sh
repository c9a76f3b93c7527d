#!/bin/sh
#
# For bench/report: 50 clients over 2 connections of pgbouncer in transaction
# mode.  Whole requests, with revdesk_authenticate() and row security, against the
# condition written by hand after a function that does nothing; the same after the
# same login, which leaves what row security costs; and a policy on
# current_setting().  pgbouncer 1.18 does not know prepared statements in this
# mode, so each is planned anew.
#
# All of it is on one CPU, as paired.sh explains: on two it is slower, since they
# sleep whenever clients, pooler and server wait for each other.
# shellcheck disable=SC2154 # of bench/report and what it sources

pooled_ways='revdesk nothing login setting'

load_pgbouncer() {
	load_requests
	PATH=$PATH:/usr/sbin
	pooler=
	command -v pgbouncer >/dev/null || return 0
	pooler=$work/pooler
	mkdir "$pooler"
	for way in $pooled_ways; do
		echo "\"$(way_role "$way")\" \"\""
	done >"$pooler/users.txt"
	cat >"$pooler/pgbouncer.ini" <<-INI
		[databases]
		requests = host=$PGHOST port=$PGPORT
		[pgbouncer]
		listen_addr =
		listen_port = 6432
		unix_socket_dir = $pooler
		auth_type = trust
		auth_file = $pooler/users.txt
		pool_mode = transaction
		default_pool_size = 2
		max_client_conn = 200
		pidfile = $pooler/pid
		logfile = $pooler/log
	INI
	on_cpus "$one_cpu" pgbouncer -d "$pooler/pgbouncer.ini" 2>"$work/errors" || fail "pgbouncer: $(cat "$work/errors")"
}

round_pgbouncer() {
	[ -n "$pooler" ] || return 0
	turns pooled 50 "$pooled_ways" request "$one_cpu" "$pooler" 6432 extended 50 "$((2 * seconds))" 0
}

print_pgbouncer() {
	printf '## pgbouncer\n\n'
	if [ -z "$pooler" ]; then
		printf 'Left out: pgbouncer is not installed (apt-get install pgbouncer).\n\n'
		return
	fi
	printf '50 clients, 2 connections, transaction mode; requests per second. nothing() and login: by hand, after a function that does nothing, or after the same login.\n\n'
	table pooled tps clients "$pooled_ways" 'revdesk/nothing>=0.95 revdesk/login>=0.95 revdesk/setting'
}
