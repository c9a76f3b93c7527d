#!/bin/sh
#
# For bench/report: several clients at once, each with a key of its own, and all
# with one and the same.  The ways take turns, a run each in every round.
#
#   request  BEGIN; the login, if any; the newest 50; COMMIT.  By hand there is
#            no second statement, or one that does nothing; there and with
#            current_setting() the application has to check the key by itself,
#            which is not included.
#   login    the login alone, as one statement; the function that does nothing
#            tells how many statements there can be
# shellcheck disable=SC2154 # of bench/report and what it sources

request_ways='revdesk noting handwritten nothing setting'
login_ways='revdesk noting nothing'

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

# throughput CPUS HOST PORT MODE CLIENTS SECONDS SAME ROLE SCRIPT: transactions in
# a second.
throughput() {
	on_cpus "$1" pgbench -n -h "$2" -p "$3" -M "$4" -c "$5" -j "$(at_most "$5" 2)" -T "$6" -U "$8" \
		-D cold=1 -D same="$7" -f "$work/script/$9.sql" requests >"$work/pgbench" 2>"$work/errors" ||
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

# One client has one CPU, as paired.sh explains; more have all.
round_clients() {
	for clients in $client_numbers; do
		seats=$one_cpu
		[ "$clients" -eq 1 ] || seats=$all_cpus
		for same in 0 1; do
			turns "requests $same" "$clients" "$request_ways" request "$seats" "$PGHOST" "$PGPORT" prepared "$clients" "$seconds" $same
			turns "logins $same" "$clients" "$login_ways" login "$seats" "$PGHOST" "$PGPORT" prepared "$clients" "$seconds" $same
		done
	done
}

print_clients() {
	printf '## Clients\n\nRequests (BEGIN; login; newest 50; COMMIT) and logins, per second. nothing(): by hand, after a function that does nothing in the place of the login.\n\n'
	for same in 0 1; do
		keys='a key each'
		[ $same = 0 ] || keys='one key for all'
		printf '### Requests, %s\n\n' "$keys"
		table "requests $same" tps clients "$request_ways" \
			'revdesk/noting revdesk/handwritten revdesk/nothing revdesk/setting'
		chart "requests-$(echo "$keys" | tr ' ' '-')" clients 'requests/s' "requests $same" tps "$request_ways"
		printf '### Logins, %s\n\n' "$keys"
		table "logins $same" tps clients "$login_ways" 'revdesk/noting>=8 revdesk/nothing'
	done
}
