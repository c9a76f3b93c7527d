#!/bin/sh
#
# What the benchmarks share; a script of this folder sources it:
#
#	. "$(dirname "$0")/lib.sh"
#
# A script that is started by root goes on as user postgres (leave_root), finds
# the server's programs (find_postgres), and starts a private server with its
# own settings (start_server).

here=$(cd "$(dirname "$0")" && pwd)
pg_config=${PG_CONFIG:-pg_config}

say() { printf '%s\n' "bench: $*" >&2; }

fail() { say "$*"; exit 1; }

# Run this script again as user postgres, from a copy that it can read; the copy,
# with what the run left in it, is in $home until this script ends.
leave_root() {
	home=$(mktemp -d)
	trap 'rm -rf "$home"' EXIT
	trap 'exit 130' INT TERM
	cp -R "$here" "$home/bench"
	chown -R postgres: "$home"
	cd "$home" || exit
	runuser -u postgres -- env TMPDIR="$home" PG_CONFIG="$pg_config" \
		sh "$home/bench/${0##*/}" "$@"
}

find_postgres() {
	PATH=$("$pg_config" --bindir):$PATH
	export PATH
	[ -f "$("$pg_config" --sharedir)/extension/revdesk_auth.control" ] ||
		fail "revdesk_auth is not installed: run make install"
}

# A folder for everything that a run makes; it goes with the servers in it.
make_work() {
	work=$(mktemp -d)
	trap stop_servers EXIT
	trap 'exit 130' INT TERM
}

# Called by a trap.
# shellcheck disable=SC2317
stop_servers() {
	[ ! -f "$work/pooler/pid" ] || kill "$(cat "$work/pooler/pid")" || :
	for data in "$work"/data.*; do
		[ ! -f "$data/postmaster.pid" ] ||
			pg_ctl -D "$data" -m immediate -w stop >/dev/null 2>&1 || :
	done
	rm -rf "$work"
}

# start_server PORT <SETTINGS: a server in $work/data.PORT, and the default one
# of what is started next.
start_server() {
	initdb -D "$work/data.$1" -U postgres -A trust -E UTF8 --locale=C >"$work/log" ||
		fail "initdb: $(cat "$work/log")"
	{
		printf "port = %s\nlisten_addresses = ''\nunix_socket_directories = '%s'\n" "$1" "$work"
		cat
	} >>"$work/data.$1/postgresql.conf"
	pg_ctl -D "$work/data.$1" -l "$work/log.$1" -w start >/dev/null ||
		fail "$(tail -n 5 "$work/log.$1")"
	export PGHOST="$work" PGPORT="$1" PGUSER=postgres PGDATABASE=postgres
}

# ask [psql option...]: psql for scripts.
ask() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }

# sql DATABASE FILE [psql option...]: run one of sql/*.sql.
sql() {
	database=$1 file=$2
	shift 2
	ask -d "$database" "$@" -f "$here/sql/$file"
}
