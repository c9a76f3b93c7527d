#!/bin/sh
#
# For bench/report: requests of a user's key, login and one query, as the number
# of the user's memberships grows: the rows of one small tenant counted, and the
# newest 50 of all.
# shellcheck disable=SC2154 # of bench/report and what it sources

memberships_fast='revdesk handwritten array'
memberships_slow='subselect exists'

load_memberships() {
	member_tenants=${member_numbers##* }
	load_docs memberships $((member_tenants * 100)) "$member_tenants" "$(echo "$member_numbers" | tr ' ' ',')"
	for query in small newest; do
		for way in $memberships_fast $memberships_slow; do
			way_user_script "$way" $query | add_script "user_$query/$way"
		done
	done
	for n in $member_numbers; do
		# shellcheck disable=SC2086 # lists of words
		check_ways memberships user "$n" $memberships_fast $memberships_slow
	done
}

# measure_user N QUERY CPUS SECONDS WAYS
measure_user() {
	# shellcheck disable=SC2046 # a list of words
	measure "$3" memberships bench_any "-T $4" memberships="$1" $(scripts_of "user_$2" "$5")
	keep "memberships $2$tab$1$tab$round"
}

# The newest rows of a thousand tenants take long in any way.
round_memberships() {
	for n in $member_numbers; do
		measure_user "$n" small "$one_cpu" "$seconds" "$memberships_fast"
		[ "$n" -ge 1000 ] ||
			measure_user "$n" newest "$one_cpu" "$seconds" "$memberships_fast"
		is_slow_round || continue
		[ "$n" -lt 1000 ] ||
			measure_user "$n" newest "$one_cpu" $((8 * seconds)) "$memberships_fast"
		for query in small newest; do
			measure_user "$n" $query "$all_cpus" $((2 * seconds)) "$memberships_slow"
		done
	done
}

print_memberships() {
	printf '## Memberships\n\nRequests of a user: login and one query, µs; %s rows of %s tenants.\n\n' $((member_tenants * 100)) "$member_tenants"
	for query in small newest; do
		case $query in
		small) printf '### count(*) of one tenant\n\n' ;;
		newest) printf '### The newest 50 of all\n\n' ;;
		esac
		table "memberships $query" total memberships "$memberships_fast $memberships_slow" \
			'revdesk/handwritten array/revdesk subselect/revdesk exists/revdesk'
		chart "memberships-$query" memberships 'µs' "memberships $query" total "$memberships_fast $memberships_slow"
	done
}
