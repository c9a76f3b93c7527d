#!/bin/sh
#
# For bench/report: several clients at once, each with a key of its own, and all
# with one and the same.  The ways take turns, a run each in every round.
#
#   request  BEGIN; the login, if any; the newest 50; COMMIT.  By hand there is
#            no second statement, or one that does nothing; there and with
#            current_setting() the application has to check the key by itself,
#            which is not included.
#   login    the login alone, as one statement
# shellcheck disable=SC2154 # of bench/report and what it sources

request_ways='revdesk noting handwritten nothing setting'
login_ways='revdesk noting'

# Keys for the login in PL/pgSQL are the first ones of revdesk_auth's, which
# load_docs makes after them.
load_requests() {
	[ ! -f "$work/requests" ] || return 0
	: >"$work/requests"
	createdb requests
	sql requests auth_keys.sql -v keys=1000 -v tenants=1000
	load_docs requests 100000 1000 ''
	# As cheap as a function can be: without a context this one does nothing.
	ask -d requests -c "CREATE FUNCTION bench.nothing(text) RETURNS void LANGUAGE c AS '\$libdir/revdesk_auth', 'revdesk_deauthenticate'"
	# shellcheck disable=SC2086 # a list of words
	check_ways requests sub_entity 1 $request_ways login
	for way in $request_ways login; do
		way_request_script "$way" | add_script "request/$way"
		way_request_script "$way" | sed '/^BEGIN;$/d; /^COMMIT;$/d; /LIMIT 50;$/d' | add_script "login/$way"
	done
}

load_clients() { load_requests; }

# throughput HOST PORT MODE CLIENTS SECONDS SAME ROLE SCRIPT: transactions in a
# second.
throughput() {
	pgbench -n -h "$1" -p "$2" -M "$3" -c "$4" -j "$(at_most "$4" 2)" -T "$5" -U "$7" \
		-D cold=1 -D same="$6" -f "$work/script/$8.sql" requests >"$work/pgbench" 2>"$work/errors" ||
		fail "pgbench: $(cat "$work/errors")"
	sed -n 's/^tps = \([0-9.]*\).*/\1/p' "$work/pgbench"
}

# turns TEST CASE WAYS SCRIPTS ARGUMENT...: each way's throughput, kept.
turns() {
	test=$1 case=$2 ways=$3 scripts=$4
	shift 4
	for way in $ways; do
		tps=$(throughput "$@" "$(way_role "$way")" "$scripts/$way")
		[ "$round" -eq 0 ] ||
			printf '%s\t%s\t%s\t%s\ttps\t%s\n' "$test" "$case" "$round" "$way" "$tps" >>"$work/samples"
	done
}

# All CPUs, for the server's new backends too.
round_clients() {
	on_cpus "$all_cpus" true
	for clients in $client_numbers; do
		for same in 0 1; do
			turns "requests $same" "$clients" "$request_ways" request "$PGHOST" "$PGPORT" prepared "$clients" "$seconds" $same
			turns "logins $same" "$clients" "$login_ways" login "$PGHOST" "$PGPORT" prepared "$clients" "$seconds" $same
		done
	done
}

print_clients() {
	printf '## Clients\n\nRequests (BEGIN; login; newest 50; COMMIT) and logins, per second.\n\n'
	for same in 0 1; do
		keys='a key each'
		[ $same = 0 ] || keys='one key for all'
		printf '### Requests, %s\n\n' "$keys"
		table "requests $same" tps clients "$request_ways" \
			'revdesk/noting revdesk/handwritten revdesk/nothing revdesk/setting'
		chart "requests-$(echo "$keys" | tr ' ' '-')" clients 'requests/s' "requests $same" tps "$request_ways"
		printf '### Logins, %s\n\n' "$keys"
		table "logins $same" tps clients "$login_ways" 'revdesk/noting>=8'
	done
}
