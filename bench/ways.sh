#!/bin/sh
#
# The ways of isolating tenants that bench/report compares, as scripts for
# pgbench and as checks that they show the same rows; for bench/report.
#
#   revdesk      revdesk_protect() and revdesk_authenticate()
#   handwritten  no row security; the condition in the query, its value a
#                parameter of a prepared statement
#   setting      a policy on current_setting(), set in the same transaction
#   array        a policy of tenant_id = ANY (ARRAY(SELECT ... memberships))
#   subselect    a policy of tenant_id IN (SELECT ... memberships), as the
#                guides of Supabase teach, auth.uid() in a SELECT
#   exists       a policy of EXISTS (SELECT ... memberships ... of this row)
#   noting       as setting, after a login in PL/pgSQL that updates last_used_at
#   nothing      as handwritten, after a function that does nothing
#   login        as handwritten, after revdesk_authenticate()
#
# Each has a role (sql/ways_roles.sql, sql/ways_policies.sql), which transactions
# that are measured in pairs begin by becoming.  An actor of bench.actors is a
# caller of scope sub_entity or user.
# shellcheck disable=SC2154 # $work is of lib.sh

way_role() {
	case $1 in
	noting) echo bench_setting ;;
	nothing | login) echo bench_handwritten ;;
	*) echo "bench_$1" ;;
	esac
}

way_table() {
	case $1 in
	revdesk | handwritten | nothing | login) echo bench.docs ;;
	*) echo bench_policies.docs ;;
	esac
}

# The statement that tells the database who calls, if any.
way_login() {
	case $1 in
	revdesk | login) echo 'SELECT revdesk_authenticate(:token);' ;;
	noting) echo 'SELECT bench.authenticate_noting(:token);' ;;
	nothing) echo 'SELECT bench.nothing(:token);' ;;
	setting) echo "SELECT set_config('app.tenant_id', :tenant_id, true);" ;;
	array | subselect | exists) echo "SELECT set_config('request.jwt.claims', :claims, true);" ;;
	esac
}

# way_condition WAY SCOPE: what the query itself has to say about tenants.
way_condition() {
	case $1-$2 in
	revdesk-*) echo true ;;
	*-user)
		[ "$1" = handwritten ] || { echo true; return; }
		echo 'tenant_id IN (SELECT tenant_id FROM bench.memberships WHERE user_id = :user_id)'
		;;
	handwritten-* | nothing-* | login-*) echo 'tenant_id = :tenant_id' ;;
	*) echo true ;;
	esac
}

# way_query WAY SCOPE QUERY
way_query() {
	from="$(way_table "$1") WHERE $(way_condition "$1" "$2")"
	columns='id, created_at, status, payload'
	case $3 in
	count) echo "SELECT count(*) FROM $from;" ;;
	newest) echo "SELECT $columns FROM $from ORDER BY created_at DESC LIMIT 50;" ;;
	key) echo "SELECT $columns FROM $from AND id = :id;" ;;
	small) echo "SELECT count(*) FROM $from AND tenant_id = :tenant_id;" ;;
	esac | sed 's/ WHERE true AND / WHERE /; s/ WHERE true//'
}

# repeat TIMES LINE
repeat() {
	i=0
	while [ "$i" -lt "$1" ]; do
		printf '%s\n' "$2"
		i=$((i + 1))
	done
}

# way_script WAY QUERY TIMES: a random tenant's caller logs in, which is not
# measured, and queries so many times.  For the query by primary key: one of the
# tenant's newest 100 rows.
way_script() {
	cat <<-SQL
		\\set n random(1, :actors)
		\\set back random(0, :recent - 1)
		\\set id :n + (:share - 1 - :back) * :tenants
		SELECT token, tenant_id, claims FROM bench.actors WHERE scope = 'sub_entity' AND n = :n \\gset
		BEGIN;
		SET LOCAL ROLE $(way_role "$1");
		$(way_login "$1")
		$(repeat "$3" "/* measured */ $(way_query "$1" sub_entity "$2")")
		COMMIT;
	SQL
}

# way_user_script WAY QUERY: the member of :memberships tenants logs in and
# queries; both are measured, since who is a member of what is looked up in the
# one by revdesk_auth, in the other by the rest.
way_user_script() {
	cat <<-SQL
		SELECT token, tenant_id, user_id, claims FROM bench.actors WHERE scope = 'user' AND n = :memberships \\gset
		BEGIN;
		SET LOCAL ROLE $(way_role "$1");
		$(way_login "$1" | sed 's,^,/* measured */ ,')
		/* measured */ $(way_query "$1" user "$2")
		COMMIT;
	SQL
}

# way_request_script WAY: a whole request, of a connection as the way's role.
# Clients have a key each, or all the same one (:same).
way_request_script() {
	cat <<-SQL
		\\if :cold
		\\set n CASE WHEN :same = 1 THEN 1 ELSE :client_id + 1 END
		SELECT token, tenant_id FROM bench.actors WHERE scope = 'sub_entity' AND n = :n \\gset
		\\set cold 0
		\\endif
		BEGIN;
		$(way_login "$1")
		$(way_query "$1" sub_entity newest)
		COMMIT;
	SQL
}

# fingerprint DATABASE WAY SCOPE N: a digest of all rows that this actor sees.
fingerprint() {
	{
		echo "SELECT token, tenant_id, user_id, claims FROM bench.actors WHERE scope = '$3' AND n = $4 \\gset"
		echo 'BEGIN;'
		echo "SET LOCAL ROLE $(way_role "$2");"
		way_login "$2" | sed "s/:\([a-z_]*\)/:'\1'/; s/;$/ \\\\gset login_/"
		way_query "$2" "$3" count |
			sed "s/:\([a-z_]*\)/:'\1'/; s/count(\*)/count(*), md5(string_agg(id::text, ',' ORDER BY id))/"
		echo 'COMMIT;'
	} | ask -d "$1"
}

# check_ways DATABASE SCOPE N WAY...: all see the same rows, and some.
check_ways() {
	database=$1 scope=$2 n=$3
	shift 3
	seen=$(fingerprint "$database" "$1" "$scope" "$n")
	case $seen in '' | 0*) fail "$database: $1 sees no rows as $scope $n" ;; esac
	for way; do
		[ "$(fingerprint "$database" "$way" "$scope" "$n")" = "$seen" ] ||
			fail "$database: $way sees other rows than $1 as $scope $n"
	done
}

exists() { [ "$(ask -c "SELECT count(*) FROM pg_database WHERE datname = '$1'")" = 1 ]; }

# load_docs DATABASE ROWS TENANTS MEMBERSHIPS
load_docs() {
	say "loading $2 rows of $3 tenants, twice"
	exists "$1" || createdb "$1"
	sql "$1" auth_revdesk.sql -v keys="$3" -v tenants="$3" >"$work/output"
	for schema in bench bench_policies; do
		sql "$1" ways_table.sql -v schema="$schema" -v rows="$2" -v tenants="$3"
	done
	sql "$1" ways_actors.sql -v keys="$3" -v tenants="$3" -v memberships="{$4}" >"$work/output"
	sql "$1" ways_policies.sql >"$work/output"
	ask -d "$1" -c 'VACUUM ANALYZE'
}
