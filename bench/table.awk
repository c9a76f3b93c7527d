# One table of bench/report, from samples: lines of
#
#	<test> TAB <case> TAB <round> TAB <script> TAB <kind> TAB <figure>
#
# Goes with stats.awk.  A line for each case of the test, in their order there.
#
#	test, kind	which samples
#	head		what the cases are
#	ways		scripts; a column each with the median of their figures
#	ratios		further columns: two ways with "/" between them, and
#				perhaps a target such as ">=8"
#	form		"table", in Markdown; "data", the medians for gnuplot; or
#				"growth", the last case's against the first's, in
#				Markdown, a line for each way and a column for each of
#				the kinds in "kind", with "limit" as the first way's target

BEGIN {
	FS = "\t"
	way_count = split(ways, way, " ")
	ratio_count = split(ratios, wanted, " ")
	kind_count = split(kind, kinds, " ")

	title["revdesk"] = "revdesk_auth"
	title["handwritten"] = "by hand"
	title["setting"] = "`current_setting`"
	title["array"] = "`ANY (ARRAY(SELECT))`"
	title["subselect"] = "`IN (SELECT)`"
	title["exists"] = "`EXISTS`"
	title["noting"] = "PL/pgSQL"
	title["lookup"] = "primary-key SELECT"
	title["nothing"] = "nothing()"
	title["login"] = "by hand + login"
	title["cost"] = "added for the client"
	title["raw"] = "there and back"
	title["server"] = "in the server"
}

$1 == test {
	script = $4
	sub(/^auth_/, "", script)
	value[$1, $2, script, $5, $3] = $6
	if ($3 + 0 > rounds)
		rounds = $3 + 0
	if (!($2 in seen)) {
		seen[$2]
		cases[++case_count] = $2
	}
}

# "2.00", or "2.00 (1.90-2.20), MISSED".
function judged(text, target,		limit, met)
{
	if (last_ratio == "")
		return text
	if (target == "")
		return number(last_ratio)
	limit = substr(target, 3) + 0
	met = target ~ /^</ ? last_ratio <= limit : last_ratio >= limit
	return text ", " (met ? "met" : "MISSED")
}

# The target in "revdesk/handwritten<=1.10", if any.
function target_of(text) { return match(text, /[<>]=.*/) ? substr(text, RSTART) : "" }

function heading(		line, rule, i, pair)
{
	line = "| " head
	rule = "|--:"
	for (i = 1; i <= way_count; i++) {
		line = line " | " title[way[i]]
		rule = rule "|--:"
	}
	for (i = 1; i <= ratio_count; i++) {
		split(wanted[i], pair, /\/|[<>]=/)
		line = line " | " (pair[1] == "revdesk" ? "" : title[pair[1]] " ") "÷ " title[pair[2]]
		if (target_of(wanted[i]) != "")
			line = line ", target " target_of(wanted[i])
		rule = rule "|--:"
	}
	print line " |"
	print rule "|"
}

function table_line(at,		line, i, pair, where)
{
	where = test SUBSEP at
	line = "| " grouped(at)
	for (i = 1; i <= way_count; i++)
		line = line " | " figure(median(where, way[i], kind))
	for (i = 1; i <= ratio_count; i++) {
		split(wanted[i], pair, /\/|[<>]=/)
		line = line " | " judged(ratio(where, pair[1], where, pair[2], kind), target_of(wanted[i]))
	}
	print line " |"
}

# A median; there is none where a run had no time for two transactions.
function figure(us) { return us == 0 ? "-" : grouped(cost(us)) }

# 1234567.8 as 1,234,567.8
function grouped(n,		tail)
{
	tail = n
	sub(/^[0-9]+/, "", tail)
	n = substr(n, 1, length(n) - length(tail))
	while (n ~ /^[0-9][0-9][0-9][0-9]/) {
		tail = "," substr(n, length(n) - 2) tail
		n = substr(n, 1, length(n) - 3)
	}
	return n tail
}

function data_line(at,		line, i, us)
{
	line = at
	for (i = 1; i <= way_count; i++) {
		us = median(test SUBSEP at, way[i], kind)
		line = line "\t" (us > 0 ? us : "NaN")
	}
	print line
}

function growth_table(		line, rule, i, k, growth)
{
	line = "| " grouped(cases[case_count]) " against " grouped(cases[1]) ", target of the first <=" limit
	rule = "|---"
	for (k = 1; k <= kind_count; k++) {
		line = line " | " title[kinds[k]]
		rule = rule "|--:"
	}
	print line " |"
	print rule "|"
	for (i = 1; i <= way_count; i++) {
		line = "| " title[way[i]]
		for (k = 1; k <= kind_count; k++) {
			growth = ratio(test SUBSEP cases[case_count], way[i], test SUBSEP cases[1], way[i], kinds[k])
			line = line " | " (i == 1 ? judged(growth, "<=" limit) : growth)
		}
		print line " |"
	}
}

END {
	if (form == "growth")
		growth_table()
	else if (form == "data") {
		line = "case"
		for (i = 1; i <= way_count; i++)
			line = line "\t" title[way[i]]
		gsub(/`/, "", line)
		print line
		for (i = 1; i <= case_count; i++)
			data_line(cases[i])
	} else {
		heading()
		for (i = 1; i <= case_count; i++)
			table_line(cases[i])
	}
	if (form != "data")
		print ""
}
