#!/bin/sh
#
# For bench/report: the queries of a sub-entity's key, in two parts.
#
#   rows     as the table grows, of 100 tenants
#   tenants  as their number grows in a table of the same size
#
# Each counts its rows, reads its newest 50, and reads one by primary key.  The
# two ways that read the whole table have runs of their own, fewer and on all
# CPUs: they may use parallel workers.
# shellcheck disable=SC2154 # of bench/report and what it sources

docs_fast='revdesk handwritten setting array'
docs_slow='subselect exists'

load_docs_scripts() {
	for query in count newest key; do
		for way in $docs_fast $docs_slow; do
			for times in 1 5; do
				way_script "$way" $query $times | add_script "$query$times/$way"
			done
		done
	done
}

# load_case ROWS TENANTS: which both parts may have.
load_case() {
	! exists "docs_$1_$2" || return 0
	load_docs "docs_$1_$2" "$1" "$2" ''
	for n in 1 7; do
		# shellcheck disable=SC2086 # lists of words
		check_ways "docs_$1_$2" sub_entity $n $docs_fast $docs_slow
	done
}

load_rows() {
	load_docs_scripts
	for case in $row_numbers; do load_case "$case" 100; done
}

load_tenants() {
	load_docs_scripts
	for case in $tenant_numbers; do load_case "$tenant_rows" "$case"; done
}

# measure_case PART CASE ROWS TENANTS
measure_case() {
	share=$(($3 / $4))
	for query in count newest key; do
		times=5
		[ $query != count ] || [ $share -lt 10000 ] || times=1
		set -- "$1" "$2" "$3" "$4" "docs_$3_$4" bench_any
		for speed in fast slow; do
			case $speed in
			fast)
				cpus=$one_cpu length="-T $seconds" scripts=$(scripts_of "$query$times" "$docs_fast")
				;;
			slow)
				is_slow_round || continue
				length="-t $((40000000 / ($3 + 60000) + 24))"
				[ $query != key ] || length='-t 800'
				cpus=$all_cpus scripts=$(scripts_of "${query}1" "$docs_slow")
				;;
			esac
			# shellcheck disable=SC2086 # a list of words
			measure "$cpus" "$5" "$6" "$length" tenants="$4" share=$share \
				actors="$(at_most "$4" 20)" recent="$(at_most $share 100)" $scripts
			keep "$1 $query$tab$2$tab$round"
		done
	done
}

round_rows() {
	for case in $row_numbers; do measure_case rows "$case" "$case" 100; done
}

round_tenants() {
	for case in $tenant_numbers; do measure_case tenants "$case" "$tenant_rows" "$case"; done
}

# print_docs PART HEAD
print_docs() {
	for query in count newest key; do
		case $query in
		count) printf '### count(*)\n\n' ;;
		newest) printf '### The newest 50\n\n' ;;
		key) printf '### One row by primary key\n\n' ;;
		esac
		table "$1 $query" cost "$2" "$docs_fast $docs_slow" \
			'revdesk/handwritten<=1.10 setting/revdesk array/revdesk subselect/revdesk exists/revdesk'
		chart "$1-$query" "$2" 'µs' "$1 $query" cost "$docs_fast $docs_slow"
	done
}

print_rows() {
	printf '## Rows\n\nQueries of one tenant of 100, µs each, the login not included.\n\n'
	print_docs rows rows
}

print_tenants() {
	printf '## Tenants\n\nQueries of one tenant in %s rows, µs each, the login not included.\n\n' "$tenant_rows"
	print_docs tenants tenants
}
