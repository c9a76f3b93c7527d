# The Markdown tables of bench/run, from its samples: lines of
#
#	<table> TAB <case> TAB <round> TAB <script> TAB <kind> TAB <microseconds>
#
# with the kinds of latencies.awk and auth_server.sql.  Goes with stats.awk.

BEGIN { FS = "\t" }

{
	script = $4
	sub(/^(rows|auth)_/, "", script)
	sub(/_(sub_entity|organization|user)$/, "", script)
	value[$1, $2, script, $5, $3] = $6
	if ($3 + 0 > rounds)
		rounds = $3 + 0
}

# Was the ratio that was computed last within the target?
function verdict(limit)
{
	if (last_ratio == "")
		return "-"
	return last_ratio <= limit ? "met" : "MISSED"
}

function rows_table(		s, c, scopes, queries, test, line)
{
	split("sub_entity organization user", scopes, " ")
	split("count newest", queries, " ")

	print "## Row security\n"
	printf "Queries on %d rows of %d tenants in %d umbrellas; target: at most 1.10 times the hand-written WHERE.\n\n", rows, tenants, umbrellas
	print "| key's scope | query | revdesk_auth, µs | hand-written, µs | current_setting, µs | no support function, µs | ÷ hand-written | target 1.10 | ÷ current_setting | ÷ no support function | raw latencies: ÷ hand-written |"
	print "|---|---|--:|--:|--:|--:|--:|---|--:|--:|--:|"
	for (s = 1; s <= 3; s++)
		for (c = 1; c <= 2; c++) {
			test = "rows" SUBSEP scopes[s] " " queries[c]
			line = "| " scopes[s] " | " (c == 1 ? "count(*)" : "newest 50")
			line = line " | " cost(median(test, "revdesk", "cost"))
			line = line " | " cost(median(test, "handwritten", "cost"))
			line = line " | " cost(median(test, "setting", "cost"))
			line = line " | " cost(median(test, "opaque", "cost"))
			line = line " | " ratio(test, "revdesk", test, "handwritten", "cost")
			line = line " | " verdict(1.10)
			line = line " | " ratio(test, "revdesk", test, "setting", "cost")
			line = line " | " ratio(test, "revdesk", test, "opaque", "cost")
			line = line " | " ratio(test, "revdesk", test, "handwritten", "raw")
			print line " |"
		}

	print ""
}

function auth_line(keys, kind,		test, line)
{
	test = "auth" SUBSEP keys
	line = "| " keys
	line = line " | " cost(median(test, "revdesk", kind))
	line = line " | " cost(median(test, "plpgsql", kind))
	line = line " | " cost(median(test, "lookup", kind))
	line = line " | " ratio(test, "revdesk", test, "plpgsql", kind)
	line = line " | " verdict(0.5)
	line = line " | " ratio(test, "revdesk", test, "lookup", kind)
	print line " |"
}

function auth_table(		n, k, i, size, script, kinds, titles, first, last, line)
{
	n = split(sizes, size, " ")
	split("revdesk plpgsql lookup", script, " ")
	split("revdesk_authenticate,PL/pgSQL version,primary-key SELECT", titles, ",")
	split("cost raw server", kinds, " ")

	print "## Authentication\n"
	print "One login of a random key; target: at most 0.5 times the PL/pgSQL version."
	for (i = 1; i <= 3; i++) {
		print "\n" (i == 1 ? "What it adds to a transaction, for the client:" : i == 2 ? "Raw latency of the statement:" : "Inside the server (executor time by pg_stat_statements):") "\n"
		print "| keys | revdesk_authenticate, µs | PL/pgSQL version, µs | primary-key SELECT, µs | ÷ PL/pgSQL | target 0.50 | ÷ primary-key SELECT |"
		print "|--:|--:|--:|--:|--:|---|--:|"
		for (k = 1; k <= n; k++)
			auth_line(size[k], kinds[i])
	}

	printf "\nFlatness, %d keys against %d; target: at most 1.3.\n\n", size[n], size[1]
	print "| | added for the client | raw latency | inside the server |"
	print "|---|--:|--:|--:|"
	first = "auth" SUBSEP size[1]
	last = "auth" SUBSEP size[n]
	for (i = 1; i <= 3; i++) {
		line = "| " titles[i]
		for (k = 1; k <= 3; k++) {
			line = line " | " ratio(last, script[i], first, script[i], kinds[k])
			if (i == 1)
				line = line " " verdict(1.3)
		}
		print line " |"
	}
	print ""
}

END {
	if (tables ~ /auth/)
		auth_table()
	if (tables ~ /rows/)
		rows_table()
}
