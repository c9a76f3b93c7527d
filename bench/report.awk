# The Markdown tables of bench/run, from its samples: lines of
#
#	<table> TAB <case> TAB <round> TAB <script> TAB <kind> TAB <microseconds>
#
# with the kinds of latencies.awk and auth_server.sql.  Costs are medians over
# the rounds, ratios are ratios of medians, and the spread beside a ratio is
# from the first to the third quartile of the ratios of the single rounds.

BEGIN { FS = "\t" }

{
	script = $4
	sub(/^(rows|auth)_/, "", script)
	sub(/_(sub_entity|organization|user)$/, "", script)
	value[$1, $2, script, $5, $3] = $6
	if ($3 + 0 > rounds)
		rounds = $3 + 0
}

# Sort a[1..n], which is short.
function sort(a, n,		i, j, v)
{
	for (i = 2; i <= n; i++) {
		v = a[i]
		for (j = i - 1; j >= 1 && a[j] > v; j--)
			a[j + 1] = a[j]
		a[j + 1] = v
	}
}

# The quantile q of a[1..n], sorted, linear between its neighbours.
function quantile(a, n, q,		at, low)
{
	at = 1 + (n - 1) * q
	low = int(at)
	return low == n ? a[n] : a[low] + (at - low) * (a[low + 1] - a[low])
}

function median(test, script, kind,		round, n, a)
{
	n = 0
	for (round = 1; round <= rounds; round++)
		if ((test, script, kind, round) in value)
			a[++n] = value[test, script, kind, round]
	if (n == 0)
		return 0
	sort(a, n)
	return quantile(a, n, 0.5)
}

# "1.03 (1.01-1.06)": the kind of cost in test and script against that in test2
# and script2, over the rounds that have both.
function ratio(test, script, test2, script2, kind,		round, n, a, b, r)
{
	n = 0
	for (round = 1; round <= rounds; round++) {
		if (!((test, script, kind, round) in value) ||
			!((test2, script2, kind, round) in value) ||
			value[test2, script2, kind, round] <= 0)
			continue
		a[++n] = value[test, script, kind, round]
		b[n] = value[test2, script2, kind, round]
		r[n] = a[n] / b[n]
	}
	last_ratio = ""
	if (n == 0)
		return "-"
	sort(a, n)
	sort(b, n)
	sort(r, n)
	last_ratio = quantile(a, n, 0.5) / quantile(b, n, 0.5)
	return sprintf("%s (%s-%s)", number(last_ratio), number(quantile(r, n, 0.25)), number(quantile(r, n, 0.75)))
}

function number(r) { return sprintf(r < 0.1 ? "%.4f" : "%.2f", r) }

function cost(us) { return sprintf(us < 1000 ? "%.1f" : "%.0f", us) }

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
