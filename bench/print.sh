#!/bin/sh
#
# How bench/report prints what was measured.
# shellcheck disable=SC2154 # $here and $work are of lib.sh

# table TEST KIND HEAD WAYS RATIOS: see table.awk.
table() {
	awk -v form=table -v test="$1" -v kind="$2" -v head="$3" -v ways="$4" -v ratios="$5" \
		-f "$here/stats.awk" -f "$here/table.awk" "$work/samples"
}

# growth TEST KINDS WAYS LIMIT
growth() {
	awk -v form=growth -v test="$1" -v kind="$2" -v ways="$3" -v limit="$4" \
		-f "$here/stats.awk" -f "$here/table.awk" "$work/samples"
}

# chart NAME XLABEL YLABEL TEST KIND WAYS: charts/NAME.svg, and a link to it.
chart() {
	command -v gnuplot >/dev/null || return 0
	awk -v form=data -v test="$4" -v kind="$5" -v ways="$6" \
		-f "$here/stats.awk" -f "$here/table.awk" "$work/samples" >"$work/chart"
	mkdir -p "$here/charts"
	gnuplot <<-PLOT || fail "gnuplot could not draw $1"
		set terminal svg size 720,400 font "sans-serif,13" background "white"
		set output "$here/charts/$1.svg"
		set datafile separator "\t"
		set logscale xy
		set format x "%.0s%c"
		set xlabel "$2"
		set ylabel "$3"
		set grid ytics linecolor "#dddddd"
		set border 3
		set tics nomirror
		set key outside right top Left reverse noenhanced
		set style data linespoints
		plot for [i=2:$(($(echo "$6" | wc -w) + 1))] "$work/chart" using 1:i title columnheader(i) \
			linewidth (i == 2 ? 5 : 2) pointtype i + 2 pointsize 0.7
	PLOT
	printf '![%s](charts/%s.svg)\n\n' "$1" "$1"
}

# Which pages the servers' shared memory is in.
shared_pages() {
	awk '/^HugePages_Total/ { used += $2 } /^HugePages_Free/ { used -= $2 } /^HugePages_Rsvd/ { used += $2 }
		END { print (used > 0 ? "" : "no ") "huge pages" }' /proc/meminfo
}

# What was measured on, with what settings.
print_head() {
	printf '# revdesk_auth, measured\n\n'
	printf -- '- %s\n' "revdesk_auth $(sed -n "s/^default_version = '\(.*\)'/\1/p" \
		"$("$pg_config" --sharedir)/extension/revdesk_auth.control"), preloaded; $(postgres --version); $(pgbench --version)"
	printf -- '- %s CPUs, %s; %s of memory, %s; Linux %s; load %s at the start\n' "$(nproc)" \
		"$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)" \
		"$(awk '/^MemTotal/ { printf "%.0f GB", $2 / 1048576 }' /proc/meminfo)" "$(shared_pages)" "$(uname -r)" "$load"
	printf -- '- Settings: %s\n' "$(ask -c "SELECT string_agg(name || ' = ' || current_setting(name), ', ' ORDER BY name)
		FROM unnest('{shared_buffers,fsync,synchronous_commit,full_page_writes,wal_level,autovacuum,jit,max_parallel_workers_per_gather,random_page_cost,revdesk.max_tracked_keys}'::text[]) AS name")"
	printf -- '- %s rounds, %s of slow ways, %s of clients; %s\n' "$rounds" "$slow_rounds" "$client_rounds" \
		'figures are medians; ratios are of medians, with the quartiles of the single rounds in brackets'
	# shellcheck disable=SC2016 # Markdown
	printf -- '- Made by `bench/report%s` in %s minutes. Its head and `bench/parts` say what is compared and how.\n\n' \
		"${size:+ --$size}" "$((($(date +%s) - started + 59) / 60))"
}
